"""The transform encoding of features (FORMAT.md): coefficients in a calibrated basis, magnitudes in context-sorted,
entropy-coded bit planes. Uses the compiled decoder if there is one (native.py), else NumPy: one half channel at a time,
in steps of 64 trellises; only the entropy coder works nibble by nibble."""
from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CorruptError, InputError, NewerFormatError
from .container import Container, check_json_version
from .native import COEFFICIENTS, FEATURES, ITEMS, Decoder, library, required

CLASSES, PLANES, SEEN = 32, 15, 15
FIRST_SPLIT, SPLIT = 12, 8  # classes whose items of the second quantiser are a separate kind
KINDS = CLASSES + SPLIT
LEVELS, STATES, SCALE_BITS, LOW = 61, 32, 12, 1 << 16
MOST_EXPECTED = 10 * 1024
MOST_ITEMS, LEAST_STEP, MOST_STEP = 1 << 29, 2.0**-110, 2.0**70  # limits of valid groups
HEADER = np.dtype([("bytes", "<u4"), ("step", "<f4"), ("step_sixteenths", "<i2"), ("version", "<u2"),
                   ("kinds", "<u8"), ("sign_bits", "<u4"), ("low_bits", "<u4"), ("escape_bytes", "<u4"),
                   ("entropy_bytes", "<u4")])
# Probability of a one in 1/65536, by level.
ONES = (64, 81, 101, 128, 161, 203, 255, 321, 404, 508, 639, 803, 1008, 1265, 1586, 1986, 2483, 3097, 3855, 4784,
        5915, 7282, 8917, 10851, 13107, 15698, 18619, 21845, 25329, 28999, 32768, 36537, 40207, 43691, 46917, 49838,
        52429, 54685, 56619, 58254, 59621, 60752, 61681, 62439, 63053, 63550, 63950, 64271, 64528, 64733, 64897,
        65028, 65132, 65215, 65281, 65333, 65375, 65408, 65435, 65455, 65472)
# By state and parity of the magnitude; odd states use the second quantiser.
NEXT_STATE = np.array([(0, 2), (5, 7), (1, 3), (6, 4), (2, 0), (4, 6), (3, 1), (7, 5)], np.uint8).reshape(-1)
# By an item's class, plus 32 for the second quantiser.
KIND_OF = np.concatenate([np.arange(CLASSES), np.arange(FIRST_SPLIT), CLASSES + np.arange(SPLIT),
                          np.arange(FIRST_SPLIT + SPLIT, CLASSES)])
COUNTING = np.arange(64)
BITS_OF_NIBBLE = np.array([[n >> bit & 1 for bit in range(4)] for n in range(16)], np.uint8)


class Basis:
    """basis.h5: the result of calibration, and the order of a group's items."""
    mean: np.ndarray           # float32 [C, H, W]
    vectors: np.ndarray        # float32 [C, C]
    eigenvalues: np.ndarray    # float32 [C]
    rows: np.ndarray | None    # float32 [H, H]; both None without a transform over positions
    columns: np.ndarray | None  # float32 [W, W]
    scale: np.ndarray          # int16 [C, H, W]
    expected: np.ndarray       # uint16 [512]
    levels: np.ndarray         # uint8 [40, 15]
    confidence: np.ndarray     # uint16 [1]

    def __init__(self, path: str | Path, name: str, shape: Sequence[int]) -> None:
        file = Container(path)
        attributes = file.json("vitrine basis")
        check_json_version(attributes, path)
        maps, spatial, views = tuple(shape), attributes.get("spatial"), attributes.get("views")
        channels, height, width = maps
        if not isinstance(spatial, bool) or type(views) is not int or not 0 <= views < 2**64:
            raise CorruptError(f"{path}: its attributes cannot be read; copy it again")
        wanted = [("mean", "<f4", maps), ("vectors", "<f4", (channels, channels)), ("eigenvalues", "<f4", (channels,)),
                  ("rows", "<f4", (height, height)), ("columns", "<f4", (width, width)), ("scale", "<i2", maps),
                  ("expected", "<u2", (512,)), ("levels", "|u1", (KINDS, PLANES)),
                  ("confidence", "<u2", (1,))]
        if "offsets" in file.datasets:
            raise NewerFormatError(f"{path}: belongs to the transform encoding of another version of vitrine; read it with that, or "
                             "extract the track again")
        sha = hashlib.sha256(np.array(shape, "<u4").tobytes() + views.to_bytes(8, "little"))
        for field, dtype, sizes in wanted:
            if field in ("rows", "columns") and not spatial:
                setattr(self, field, None)
                continue
            found = file.find(field)
            if found.dtype != dtype or found.shape != sizes:
                raise InputError(f"{path}: dataset {field} has an unexpected type or shape; copy it again")
            setattr(self, field, file.read_all(field))
            sha.update(getattr(self, field).tobytes())
        floats = [self.mean, self.vectors, self.eigenvalues, *((self.rows, self.columns) if spatial else ())]
        if not all(np.isfinite(numbers).all() for numbers in floats) or (self.expected == 0).any() or \
                (self.levels >= LEVELS).any() or self.confidence[0] == 0:
            raise CorruptError(f"{path}: the basis has values out of range; the file is damaged, copy it again")
        if sha.hexdigest() != attributes.get("hash"):
            raise InputError(f"{path}: does not match its hash; copy it again")
        if sha.hexdigest() != name:
            raise InputError(f"{path}: is the basis {sha.hexdigest()[:8]}, but track.json names {name[:8]}; copy both "
                             "from the same cache")
        self.channels, self.height, self.width = shape
        self._order()

    @functools.cached_property
    def native(self) -> Decoder | None:
        """The compiled decoder, or None."""
        found = library()
        return None if found is None else Decoder(found, self)

    @property
    def encoder(self) -> Decoder:
        """The compiled codec; InputError if there is none."""
        required()
        assert self.native is not None
        return self.native

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "native"}

    def _order(self) -> None:
        """Slots: positions with row + column even, then the others. A missing neighbour is the slot past the last."""
        height, width = self.height, self.width
        row, column = np.divmod(np.arange(height * width), width)
        self.position = np.argsort((row + column) % 2, kind="stable")
        self.even = int(((row + column) % 2 == 0).sum())
        self.slots = height * width
        slot = np.full((height + 2, width + 2), self.slots)
        slot[1:-1, 1:-1] = np.argsort(self.position, kind="stable").reshape(height, width)
        around = [slot[:-2, 1:-1], slot[2:, 1:-1], slot[1:-1, :-2], slot[1:-1, 2:]]
        self.neighbours = np.stack([side.reshape(-1)[self.position] for side in around])

    def maps(self, items: np.ndarray) -> np.ndarray:
        """Undoes the transform over positions: items, float32 [C, slots, views], to [C, H * W, views]."""
        channels, slots, views = items.shape
        maps = np.empty_like(items)
        maps[:, self.position] = items
        if self.rows is not None and self.columns is not None:
            maps = self.columns.T @ maps.reshape(channels * self.height, self.width, views)
            maps = self.rows.T @ maps.reshape(channels, self.height, self.width * views)
        return maps.reshape(channels, slots, views)

    def features(self, maps: np.ndarray) -> np.ndarray:
        """Those, float32 [C, H * W, views]."""
        features = (self.vectors.T @ maps.reshape(len(maps), -1)).reshape(maps.shape)
        features += self.mean.reshape(*maps.shape[:2], 1)
        return features


# The entropy coder

@functools.lru_cache(maxsize=None)
def _tables(level: int) -> tuple[list[int], list[int], list[int]]:
    """For each slot of a state: frequency, slot minus start, and nibble."""
    one = ONES[level]
    zero, frequency = 65536 - one, []
    for nibble in range(16):
        share = 1
        for bit in range(4):
            share *= one if nibble >> bit & 1 else zero
        frequency.append(max(1, share >> 64 - SCALE_BITS))
    frequency[0 if one < zero else 15] += (1 << SCALE_BITS) - sum(frequency)
    start = np.cumsum([0, *frequency[:-1]])
    nibbles = np.repeat(np.arange(16), frequency)
    offset = np.arange(1 << SCALE_BITS) - start[nibbles]
    return np.array(frequency)[nibbles].tolist(), offset.tolist(), nibbles.tolist()


def _take(states: list[int], words: list[int], at: int, frequency: list[int], offset: list[int], nibbles: list[int],
          out: bytearray) -> int:
    """Fills `out` and updates the states. Returns the position of the next word: past the end if words were missing."""
    end = len(words)
    for j in range(len(out)):
        x = states[j & 31]
        slot = x & 4095
        x = frequency[slot] * (x >> 12) + offset[slot]
        out[j] = nibbles[slot]
        if x < 65536:
            x = x << 16 | (words[at] if at < end else 0)
            at += 1
        states[j & 31] = x
    return at


class _Coder:
    """Decodes bit streams, in the order in which they were coded."""

    def __init__(self, data: bytes) -> None:
        self.states = np.frombuffer(data, "<u4", STATES).tolist()  # lists are faster for single items
        self.words = np.frombuffer(data, "<u2", (len(data) - 4 * STATES) // 2, 4 * STATES).tolist()
        self.at, self.odd = 0, len(data) % 2 != 0

    def take(self, bits: int, level: int) -> np.ndarray:
        out = bytearray((bits + 3) // 4)
        self.at = _take(self.states, self.words, self.at, *_tables(level), out)
        if self.at > len(self.words):
            raise ValueError("its entropy coder did not end where it began")
        return BITS_OF_NIBBLE[np.frombuffer(out, np.uint8)].reshape(-1)[:bits]

    def ends(self) -> bool:
        return self.at == len(self.words) and not self.odd and all(state == LOW for state in self.states)


# A group's streams

def low_bits(classes: np.ndarray) -> np.ndarray:
    """Number of low bits that a class stores raw."""
    return np.where(classes >= 24, classes // 2 - 11, 0)


def _varints(data: np.ndarray) -> np.ndarray:
    """Numbers of seven bits per byte, lowest first, the last byte of each below 128."""
    ends = np.flatnonzero(data < 128)
    if len(data) and (len(ends) == 0 or ends[-1] != len(data) - 1):
        raise ValueError("its escapes end too early")
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)[:len(ends)]
    if len(ends) and (ends - starts).max() > 2:
        raise ValueError("a number is too long")
    place = np.arange(len(data)) - np.repeat(starts, ends - starts + 1)
    parts = (data & 127).astype(np.int64) << 7 * place
    return np.add.reduceat(parts, starts) if len(ends) else np.zeros(0, np.int64)


class _Source:
    """Reads a payload from the front."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> np.ndarray:
        if count > len(self.data) - self.at:
            raise ValueError("it ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self) -> int:
        return int(self.take(1)[0])

    def varint(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            part = self.byte()
            value |= (part & 127) << shift
            if part < 128:
                return value
        raise ValueError("a number is too long")


class _Streams:
    """A payload's streams before items are assigned by contexts. `magnitudes`: of all items, without low bits and up to
    15, kind by kind, in coding order within a kind."""

    def __init__(self, basis: Basis, payload: np.ndarray, items: int) -> None:
        if not 0 < items <= MOST_ITEMS:
            raise ValueError("its group has an impossible size")
        if len(payload) < HEADER.itemsize:
            raise ValueError("it is shorter than a header")
        header = payload[:HEADER.itemsize].view(HEADER)[0]
        if header["version"] != 3:
            raise ValueError(f"it has version {header['version']}, which this program does not know")
        if not HEADER.itemsize <= header["bytes"] <= len(payload):
            raise ValueError("its length is impossible")
        if not LEAST_STEP <= header["step"] <= MOST_STEP:
            raise ValueError("its step is out of range")
        self.unit, self.step_sixteenths = header["step"] / np.float32(8), int(header["step_sixteenths"])
        source = _Source(payload[HEADER.itemsize:int(header["bytes"])])
        self.counts = np.zeros(KINDS, np.int64)
        levels: list[list[int]] = [[] for _ in range(KINDS)]
        for kind in range(KINDS):
            if not int(header["kinds"]) >> kind & 1:
                continue
            count, planes = source.varint(), source.byte()
            own_levels, planes = planes & 128, planes & 127
            if planes > PLANES or not 0 < count <= items - self.counts.sum():
                raise ValueError("a kind has an impossible size")
            self.counts[kind] = count
            levels[kind] = (source.take(planes) if own_levels else basis.levels[kind, :planes]).tolist()
            if planes and max(levels[kind]) >= LEVELS:
                raise ValueError("a plane has an impossible level")
        if self.counts.sum() != items or int(header["kinds"]) >> KINDS:
            raise ValueError("its kinds do not add up to the group")
        if header["sign_bits"] > items:
            raise ValueError("it has more signs than items")
        self.signs = self._bits(source, header["sign_bits"])
        self.low = self._bits(source, header["low_bits"])
        self.escapes = _varints(source.take(int(header["escape_bytes"])))
        entropy = source.take(int(header["entropy_bytes"]))
        if source.at != len(source.data) or len(entropy) < 4 * STATES:
            raise ValueError("its parts do not add up to its length")
        self._decode_planes(_Coder(entropy.tobytes()), levels)
        self.next_of_kind = np.cumsum(self.counts) - self.counts
        self.ends = np.cumsum(self.counts)
        self.states = np.zeros(64, np.uint8)
        self.sign_at = self.low_at = self.escape_at = 0

    @staticmethod
    def _bits(source: _Source, bits: int) -> np.ndarray:
        return np.unpackbits(source.take((int(bits) + 7) // 8), bitorder="little")[:int(bits)]

    def _decode_planes(self, coder: _Coder, levels: list[list[int]]) -> None:
        self.magnitudes = np.zeros(int(self.counts.sum()), np.uint8)
        begin = 0
        for kind in range(KINDS):
            own = self.magnitudes[begin:begin + int(self.counts[kind])]
            begin += len(own)
            left = None  # the items in the plane: those beyond the plane before
            for level in levels[kind]:
                ones = np.flatnonzero(coder.take(len(own) if left is None else len(left), level))
                if len(ones) == 0:
                    raise ValueError("a plane is empty")
                left = ones if left is None else left[ones]
                own[left] += 1
        if not coder.ends():
            raise ValueError("its entropy coder did not end where it began")

    def take(self, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For a half channel's items, given their classes: the magnitudes seen by contexts (uint8) and values (float32)."""
        magnitude, second = np.empty(len(classes), np.int32), np.empty(len(classes), np.uint8)
        coarse = classes.max(initial=0) >= 24
        for begin in range(0, len(classes), 64):
            own = classes[begin:begin + 64]
            states = self.states[:len(own)]
            odd_state = second[begin:begin + 64] = states & 1
            k: np.ndarray = self.magnitudes[self._places(KIND_OF[own + 32 * odd_state])]
            if coarse or k.max() == PLANES:
                k = k.astype(np.int32)
                self._extend(own, k)
            magnitude[begin:begin + 64] = k
            states[:] = NEXT_STATE[2 * states + (k & 1)]
        nonzero = np.flatnonzero(magnitude)
        negative = self.signs[self.sign_at:self.sign_at + len(nonzero)]
        if len(negative) < len(nonzero):
            raise ValueError("its streams do not end with the group")
        self.sign_at += len(nonzero)
        k, second = magnitude[nonzero], second[nonzero]  # type: ignore[assignment]
        level = 8 * k - np.where(second, np.where(k == 1, 3, 4), 0)
        values, seen = np.zeros(len(classes), np.float32), np.zeros(len(classes), np.uint8)
        values[nonzero] = np.where(negative, -level, level).astype(np.float32) * self.unit
        seen[nonzero] = 2 * np.minimum(k, SEEN) - second
        return seen, values

    def _places(self, kinds: np.ndarray) -> np.ndarray:
        """Positions in `magnitudes` of one item each of the first trellises."""
        order = kinds.argsort(kind="stable")
        counts = np.bincount(kinds, minlength=KINDS)
        sorted_kinds = kinds[order]
        places = np.empty(len(kinds), np.int64)
        places[order] = (self.next_of_kind - counts.cumsum() + counts)[sorted_kinds] + COUNTING[:len(kinds)]
        self.next_of_kind += counts
        if (self.next_of_kind > self.ends).any():
            raise ValueError("its streams do not end with the group")
        return places

    def _extend(self, classes: np.ndarray, magnitude: np.ndarray) -> None:
        """Adds escapes and low bits to the items that have them."""
        beyond = np.flatnonzero(magnitude == PLANES)
        more = self.escapes[self.escape_at:self.escape_at + len(beyond)]
        shifts = low_bits(classes.astype(np.int64))
        large = np.flatnonzero(shifts)
        widths = shifts[large]
        end = self.low_at + int(widths.sum())
        if len(more) < len(beyond) or end > len(self.low):
            raise ValueError("its escapes or low bits end too early")
        self.escape_at += len(beyond)
        magnitude[beyond] += more.astype(np.int32)
        if len(large):
            first = self.low_at + np.cumsum(widths) - widths
            place = np.arange(end - self.low_at) - np.repeat(first - self.low_at, widths)
            bits = self.low[self.low_at:end].astype(np.int64) << place
            low = np.add.reduceat(bits, first - self.low_at)
            magnitude[large] = (magnitude[large].astype(np.int64) << widths | low).astype(np.int32)
            self.low_at = end
        if magnitude.max() > 65535:
            raise ValueError("a magnitude is beyond 65535")

    def finish(self) -> None:
        left = (len(self.signs) - self.sign_at, len(self.low) - self.low_at, len(self.escapes) - self.escape_at)
        if (self.next_of_kind != self.ends).any() or any(left):
            raise ValueError("its streams do not end with the group")


# Contexts

def _log8(numbers: np.ndarray) -> np.ndarray:
    """8 log2 of integers from 1, linear between powers of two."""
    return (numbers.astype(np.float32).view(np.int32) >> 20) - 127 * 8


def _biases(basis: Basis, step_sixteenths: int) -> np.ndarray:
    """The offsets from the expectations of all channels and slots in classes_of: int32 [C, slots]."""
    scale = basis.scale.reshape(basis.channels, basis.slots)[:, basis.position].astype(np.int32)
    expected = basis.expected[np.clip(256 + scale - step_sixteenths, 0, 511)].astype(np.int64)
    at_most = np.zeros((basis.channels, basis.slots + 1), np.int64)
    at_most[:, :-1] = np.minimum(expected, MOST_EXPECTED)
    around = at_most[:, basis.neighbours].sum(axis=1)
    learnt = 4 * at_most[:, :-1] + around
    past = np.zeros(basis.slots, np.int64)
    sums = np.empty_like(learnt)
    for channel in range(basis.channels):
        sums[channel] = past
        past = past + learnt[channel] - (past >> 3)
    sums += 16 * int(basis.confidence[0])
    sums[:, basis.even:] += 4 * around[:, basis.even:]
    return _log8(expected) - (_log8(sums) - 32) - 127 * 8


def _classes_of(sums: np.ndarray, bias: np.ndarray) -> np.ndarray:
    bits = sums.astype(np.float32).view(np.int32)
    return np.clip(((bits >> 20) + bias[:, None]) >> 2, 0, CLASSES - 1).astype(np.uint8)


def decode_items(basis: Basis, payload: np.ndarray, views: int) -> np.ndarray:
    """uint8 payload to float32 coefficients [C, slots, views]. ValueError for an invalid payload."""
    streams = _Streams(basis, payload, basis.channels * basis.slots * views)
    biases = _biases(basis, streams.step_sixteenths)
    even, odd = slice(0, basis.even), slice(basis.even, basis.slots)
    seen = np.zeros((basis.slots + 1, views), np.uint8)  # half steps; the last row is for missing neighbours
    past = np.zeros((basis.slots, views), np.int32)
    items = np.empty((basis.channels, basis.slots, views), np.float32)

    def around(slots: slice) -> np.ndarray:
        up, down, left, right = basis.neighbours[:, slots]
        return seen[up] + seen[down] + seen[left] + seen[right]

    def take(channel: int, slots: slice, sums: np.ndarray) -> None:
        if slots.start == slots.stop:
            return
        classes = _classes_of(sums + int(basis.confidence[0]), biases[channel, slots])
        own_seen, values = streams.take(classes.reshape(-1))
        seen[slots] = own_seen.reshape(classes.shape)
        items[channel, slots] = values.reshape(classes.shape)

    for channel in range(basis.channels):
        take(channel, even, past[even])
        take(channel, odd, past[odd] + around(odd).astype(np.int32) * 128)
        past += 32 * (4 * seen[:-1].astype(np.int32) + around(slice(0, basis.slots))) - (past >> 3)
    streams.finish()
    return items


def _by_view(basis: Basis, values: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """[C, H * W, views] to [views, C, H, W]."""
    turned = values.transpose(2, 0, 1).reshape(-1, *basis.mean.shape)
    if out is None:
        return np.ascontiguousarray(turned)
    out[...] = turned
    return out


def decode_map_items(basis: Basis, payload: np.ndarray, views: int) -> np.ndarray:
    """The payload's items by position, float32 [C, H, W, views]: the same bits on every machine."""
    if basis.native:
        return basis.native.decode(payload, views, ITEMS)
    items = decode_items(basis, payload, views)
    maps = np.empty_like(items)
    maps[:, basis.position] = items
    return maps.reshape(*basis.mean.shape, views)


def decode_coefficients(basis: Basis, payload: np.ndarray, views: int, out: np.ndarray | None = None) -> np.ndarray:
    """Coefficients over channels, float32 [views, C, H, W], into `out` if given: vectors.T @ these + mean are the features."""
    if basis.native:
        return basis.native.decode(payload, views, COEFFICIENTS, out)
    return _by_view(basis, basis.maps(decode_items(basis, payload, views)), out)


def decode(basis: Basis, payload: np.ndarray, views: int, out: np.ndarray | None = None) -> np.ndarray:
    """A group's features, float32 [views, C, H, W], into `out` if given."""
    if basis.native:
        return basis.native.decode(payload, views, FEATURES, out)
    return _by_view(basis, basis.features(basis.maps(decode_items(basis, payload, views))), out)

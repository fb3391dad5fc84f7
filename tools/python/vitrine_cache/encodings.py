"""Encodings (FORMAT.md, 'Encodings') and their decoding to float32. An encoding is a class with

    settings               allowed keys of track.json's `codec`
    layout(track)          the arrays of a shard, a list of Array
    decode(track, arrays, out=None)  a group's arrays, by name, to float32 [group, shape...], into `out` if given; ValueError for
                           invalid ones

where `track` has `shape`, of one view, `group`, the number of views, `codec`, that object of track.json after check(),
and `basis`, read from basis.h5."""
from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import native, transform

if TYPE_CHECKING:
    from .track import Track

Arrays = dict[str, np.ndarray]  # of a group, by name


class Array(NamedTuple):
    name: str
    dtype: str
    view_shape: tuple[int, ...]  # without the axis of views
    whole_group: bool = False  # one row of bytes per group, padded with zeros to the shard's longest


def into(out: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """The values, copied to `out` if given."""
    if out is None:
        return values
    out[...] = values
    return out


class Encoding:
    settings: tuple[str, ...] = ()
    number: int | None = None  # in common/codec/encoding.h, if native.decode_arrays() decodes it

    def layout(self, track: Track) -> list[Array]:
        raise NotImplementedError

    def decode(self, track: Track, arrays: Arrays, out: np.ndarray | None = None) -> np.ndarray:
        if self.number is not None:
            values = np.empty((track.group, *track.shape), np.float32) if out is None else out
            if native.decode_arrays(self.number, track.shape, track.codec.get("max_error", 0.0), list(arrays.values()), values):
                return values
        return into(out, self.in_numpy(track, arrays))

    def in_numpy(self, track: Track, arrays: Arrays) -> np.ndarray:
        """decode() without the compiled codec."""
        raise NotImplementedError


class Fp32(Encoding):
    number = 0
    def layout(self, track: Track) -> list[Array]:
        return [Array("values", "<f4", track.shape)]

    def in_numpy(self, track: Track, arrays: Arrays) -> np.ndarray:
        return arrays["values"].astype(np.float32)


class Fp16(Encoding):
    number = 1
    def layout(self, track: Track) -> list[Array]:
        return [Array("values", "<f2", track.shape)]

    def in_numpy(self, track: Track, arrays: Arrays) -> np.ndarray:
        return arrays["values"].astype(np.float32)


class Int8(Encoding):
    number = 2
    def layout(self, track: Track) -> list[Array]:
        return [Array("q", "|i1", track.shape), Array("scale", "<f4", track.shape[:1] if len(track.shape) > 1 else ())]

    def in_numpy(self, track: Track, arrays: Arrays) -> np.ndarray:
        q, scale = arrays["q"], arrays["scale"]
        return q.astype(np.float32) * scale.reshape(scale.shape + (1,) * (q.ndim - scale.ndim))


class Sqrt8(Encoding):
    number = 3
    ROOTS = np.arange(256, dtype=np.float32) / np.float32(255)
    VALUES = ROOTS * ROOTS

    def layout(self, track: Track) -> list[Array]:
        return [Array("q", "|u1", track.shape)]

    def in_numpy(self, track: Track, arrays: Arrays) -> np.ndarray:
        return self.VALUES[arrays["q"]]


class Uniform(Encoding):
    """Multiples of one step, split into `shift` raw low bits each, and the rest in byte planes."""
    number = 4
    settings = ("max_error",)
    HEADER = np.dtype([("shift", "u1"), ("width", "u1"), ("with_mean", "u1"), ("zero", "u1"), ("views", "<u4")])

    def layout(self, track: Track) -> list[Array]:
        return [Array("low", "|u1", (), True), Array("high", "|u1", (), True)]

    def in_numpy(self, track: Track, arrays: Arrays) -> np.ndarray:
        low, high, count = arrays["low"], arrays["high"], math.prod(track.shape)
        if len(low) < 8:
            raise ValueError(f"array low has {len(low)} bytes, expected at least 8")
        shift, width, with_mean, _, views = low[:8].view(self.HEADER)[0].tolist()
        if shift > 24 or not 1 <= width <= 4 or with_mean > 1 or views != track.group:
            raise ValueError(f"array low begins with impossible numbers (shift {shift}, width {width}, means "
                             f"{with_mean}, views {views})")
        rows, low_bytes = views + with_mean, 8 + (views * count * shift + 7) // 8
        if len(low) < low_bytes or len(high) < width * rows * count:
            raise ValueError(f"arrays low and high have {len(low)} and {len(high)} bytes, expected at least "
                             f"{low_bytes} and {width * rows * count}")
        folded = np.zeros((rows, count), np.uint32)  # 0, -1, 1, -2, ... as 0, 1, 2, 3, ...
        for plane, part in enumerate(high[:width * rows * count].reshape(width, rows, count)):
            folded |= part.astype(np.uint32) << np.uint32(8 * plane)
        q = (folded >> np.uint32(1)) ^ (np.uint32(0) - (folded & np.uint32(1)))
        if with_mean:
            q = q[1:] + q[:1]
        if shift:
            q = q << np.uint32(shift) | self._bits(low[8:low_bytes], shift, views * count).reshape(q.shape)
        step = 2 * track.codec["max_error"]
        return (q.view(np.int32) * step).astype(np.float32).reshape(views, *track.shape)

    @staticmethod
    def _bits(stream: np.ndarray, shift: int, count: int) -> np.ndarray:
        """`count` numbers of `shift` bits each, lowest bit first."""
        padded = np.concatenate([stream, np.zeros(3, np.uint8)])
        words: np.ndarray = np.ndarray(len(stream), "<u4", padded, strides=(1,))  # overlapping: one per byte
        at = np.arange(count, dtype=np.int64) * shift
        return words[at >> 3] >> (at & 7).astype(np.uint32) & np.uint32((1 << shift) - 1)


class Topk(Encoding):
    """The largest values of each view, their classes, and the mass of the others at a few temperatures."""
    settings = ("kept", "temperatures", "max_error")

    def layout(self, track: Track) -> list[Array]:
        kept, classes = track.codec["kept"], track.shape[0]
        index = "|u1" if classes <= 2**8 else "<u2" if classes <= 2**16 else "<u4"
        value = "<i2" if track.codec.get("max_error") else "<f2"
        return [Array("value", value, (kept,)), Array("index", index, (kept,)),
                Array("tail", "<f4", (len(track.codec["temperatures"]),))]

    def kept(self, track: Track, arrays: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """float32 values and int64 classes [group, kept], float32 tails [group, temperatures]."""
        value, index = arrays["value"], arrays["index"].astype(np.int64)
        if index.max() >= track.shape[0]:
            view, place = np.argwhere(index >= track.shape[0])[0]
            raise ValueError(f"view {view} names class {index[view, place]} of {track.shape[0]}")
        if step := 2 * track.codec.get("max_error", 0):
            value = value * step
        return value.astype(np.float32), index, arrays["tail"]

    def in_numpy(self, track: Track, arrays: Arrays) -> np.ndarray:
        """All classes: those that were not kept share the tail's mass at the first temperature equally."""
        value, index, tail = self.kept(track, arrays)
        classes, temperature = track.shape[0], track.codec["temperatures"][0]
        others = temperature * (tail[:, :1].astype(np.float64) - math.log(classes - track.codec["kept"]))
        values = np.repeat(others.astype(np.float32), classes, axis=1)
        np.put_along_axis(values, index, value, axis=1)
        return values


class Transform(Encoding):
    """Coefficients in a calibrated basis: transform.py."""
    settings = ("max_error", "basis")

    def layout(self, track: Track) -> list[Array]:
        return [Array("payload", "|u1", (), True)]

    def coefficients(self, track: Track, arrays: Arrays, out: np.ndarray | None = None) -> np.ndarray:
        return transform.decode_coefficients(track.basis, arrays["payload"], track.group, out)

    def decode(self, track: Track, arrays: Arrays, out: np.ndarray | None = None) -> np.ndarray:
        return transform.decode(track.basis, arrays["payload"], track.group, out)


TOPK, TRANSFORM = Topk(), Transform()
ENCODINGS: dict[str, Encoding] = {"fp32": Fp32(), "fp16": Fp16(), "int8": Int8(), "sqrt8": Sqrt8(), "uniform": Uniform(),
                                  "topk": TOPK, "transform": TRANSFORM}


class Newer(ValueError):
    """Written only by a newer version."""


SMALLEST_ERROR, LARGEST_ERROR, MOST_TEMPERATURES = 1e-9, 1e9, 16


def is_number(value: Any) -> bool:
    """Whether it is a finite number; JSON has integers of any size."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def check(encoding: str, codec: dict[str, Any], shape: Sequence[int]) -> None:
    """Raises ValueError unless `codec`, with values of the right types, is valid for this encoding and views of `shape`."""
    for key in codec:
        if key not in ENCODINGS[encoding].settings:
            raise ValueError(f"the encoding {encoding} has no setting {key}; remove it")
    error = codec.get("max_error", 0)
    wide = SMALLEST_ERROR <= error <= LARGEST_ERROR
    if encoding == "uniform" and not wide:
        raise ValueError(f"max_error = {error:g} is not allowed; expected from {SMALLEST_ERROR:g} to {LARGEST_ERROR:g}")
    if encoding == "transform":
        if not 0 < error < 1:
            raise ValueError(f"max_error = {error:g} is not allowed; expected a share of the energy between 0 and 1, for "
                             "instance 0.01")
        if len(shape) != 3:
            raise ValueError("transform stores feature maps only; expected views of three axes")
        if not is_hash(codec.get("basis")):
            raise ValueError("basis is not SHA-256; expected 64 hexadecimal digits")
    if encoding == "topk":
        kept, temperatures = codec.get("kept", 0), codec.get("temperatures", [])
        if not wide and error != 0:
            raise ValueError(f"max_error = {error:g} is not allowed; expected 0 (values as fp16) or from "
                             f"{SMALLEST_ERROR:g} to {LARGEST_ERROR:g}")
        if len(shape) != 1:
            raise ValueError("topk stores logits only; expected views of one axis")
        if not 1 <= kept < shape[0]:
            raise ValueError(f"kept = {kept} of {shape[0]} classes is not allowed; expected at least 1 and fewer "
                             "than all")
        if not 1 <= len(temperatures) <= MOST_TEMPERATURES:
            raise ValueError(f"{len(temperatures)} temperatures are not allowed; expected 1 to {MOST_TEMPERATURES}")
        for t in temperatures:
            if not 0.01 <= t <= 1000:
                raise ValueError(f"the temperature {t:g} is not allowed; expected from 0.01 to 1000")
            if temperatures.count(t) > 1:
                raise ValueError(f"the temperature {t:g} is given twice")


def from_bytes(layout: list[Array], contents: list[bytes], group: int) -> Arrays:
    """The arrays of a group, by name, from the bytes of its chunks."""
    arrays = {}
    for array, data in zip(layout, contents):
        values = np.frombuffer(data, array.dtype)
        arrays[array.name] = values if array.whole_group else values.reshape(group, *array.view_shape)
    return arrays

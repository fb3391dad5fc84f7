"""A decoder of transform payloads written only from common/cache/FORMAT.md, section by section: that it decodes the golden
payloads shows that the page is right. Not optimised, so that it reads like the page."""
import math
import struct

import numpy as np

# Coded planes: the table P
PROBABILITIES = [
    64, 81, 101, 128, 161, 203, 255, 321, 404, 508, 639, 803, 1008, 1265, 1586, 1986, 2483, 3097, 3855, 4784, 5915, 7282,
    8917, 10851, 13107, 15698, 18619, 21845, 25329, 28999, 32768, 36537, 40207, 43691, 46917, 49838, 52429, 54685, 56619,
    58254, 59621, 60752, 61681, 62439, 63053, 63550, 63950, 64271, 64528, 64733, 64897, 65028, 65132, 65215, 65281, 65333,
    65375, 65408, 65435, 65455, 65472]


class Refused(ValueError):
    """The limits in FORMAT.md that a reader must enforce."""


def demand(condition, what):
    if not condition:
        raise Refused(what)


def nibble_tables(level):
    """f, start, and the nibble of each s."""
    p = PROBABILITIES[level]
    q = 65536 - p
    f = []
    for nibble in range(16):
        h = bin(nibble).count("1")
        f.append(max(1, p**h * q**(4 - h) >> 52))
    f[15 if p >= q else 0] += 4096 - sum(f)
    start, of_slot = [], []
    for nibble, share in enumerate(f):
        start.append(len(of_slot))
        of_slot += [nibble] * share
    return f, start, of_slot


class CodedPlanes:
    """32 states and their words; planes are taken one after the other."""

    def __init__(self, data):
        demand(len(data) >= 128 and len(data) % 2 == 0, "coded planes of an impossible length")
        self.x = list(struct.unpack("<32I", data[:128]))
        self.words = iter(struct.unpack(f"<{len(data) // 2 - 64}H", data[128:]))

    def bits(self, count, level):
        f, start, of_slot = nibble_tables(level)
        out = []
        for j in range((count + 3) // 4):
            x = self.x[j % 32]
            s = x % 4096
            i = of_slot[s]
            x = f[i] * (x >> 12) + s - start[i]
            if x < 65536:
                word = next(self.words, None)
                demand(word is not None, "words are lacking")
                x = x << 16 | word
            self.x[j % 32] = x
            out += [i >> bit & 1 for bit in range(4)]
        return out[:count]

    def end(self):
        demand(next(self.words, None) is None and self.x == [65536] * 32, "the coder did not end")


class BitString:
    """Bits of bytes from the least significant on."""

    def __init__(self, data, count):
        self.data, self.count, self.at = data, count, 0

    def take(self):
        demand(self.at < self.count, "a bit string ends too early")
        self.at += 1
        return self.data[(self.at - 1) // 8] >> (self.at - 1) % 8 & 1


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        demand(self.at + count <= len(self.data), "it ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, max_bytes):
        """7 bits per byte, lowest first, 128 added to all but the last."""
        value = 0
        for place in range(max_bytes):
            byte = self.take(1)[0]
            value += (byte & 127) << 7 * place
            if byte < 128:
                return value
        raise Refused("a number is too long")


class Payload:
    """The table of a group's payload, and its planes as the numbers u of each kind's items."""

    def __init__(self, data, levels, items):
        demand(len(data) >= 36, "no header")
        own_bytes, self.step, self.J, version, kinds, signs, low, escapes, coded = struct.unpack("<IfhHQIIII", data[:36])
        demand(version == 3, "another version")
        demand(36 <= own_bytes <= len(data), "an impossible length")
        demand(2.0**-110 <= self.step <= 2.0**70, "an impossible step")
        demand(kinds >> 40 == 0, "kinds that there are not")
        rest = Bytes(data[36:own_bytes])
        counts, plane_levels = {}, {}
        for n in range(40):
            if kinds >> n & 1:
                counts[n] = rest.number(5)
                planes = rest.take(1)[0]
                has_own, planes = planes >= 128, planes % 128
                demand(planes <= 15 and counts[n] > 0, "an impossible kind")
                plane_levels[n] = list(rest.take(planes)) if has_own else levels[n, :planes].tolist()
                demand(all(level <= 60 for level in plane_levels[n]), "an impossible level")
        demand(sum(counts.values()) == items, "kinds do not add up")
        self.signs = BitString(rest.take((signs + 7) // 8), signs)
        self.low = BitString(rest.take((low + 7) // 8), low)
        self.escapes = Bytes(rest.take(escapes))
        coder = CodedPlanes(rest.take(coded))
        demand(rest.at == len(rest.data), "bytes are left")
        self.u = {}
        for n, count in counts.items():
            u = [0] * count
            for t, level in enumerate(plane_levels[n]):
                asked = [i for i in range(count) if u[i] >= t]
                ones = coder.bits(len(asked), level)
                demand(any(ones), "an empty plane")
                for i, bit in zip(asked, ones):
                    u[i] += bit
            self.u[n] = iter(u)
        coder.end()

    def next_u(self, kind):
        u = next(self.u.get(kind, iter(())), None)
        demand(u is not None, "a kind ends too early")
        return u

    def end(self):
        demand(self.signs.at == self.signs.count and self.low.at == self.low.count and
               self.escapes.at == len(self.escapes.data), "streams are left")
        demand(all(next(left, None) is None for left in self.u.values()), "items are left")


NEXT = ((0, 2), (5, 7), (1, 3), (6, 4), (2, 0), (4, 6), (3, 1), (7, 5))


def log8(n):
    e = int(n).bit_length() - 1
    return 8 * e + (8 * int(n) >> e) - 8


def clip(x, least, most):
    return min(max(x, least), most)


class Group:
    """Iterates over a group's items in order."""

    def __init__(self, basis, data, views):
        self.basis, self.views = basis, views
        self.C, self.H, self.W = basis["mean"].shape
        self.payload = Payload(data, basis["levels"], self.C * self.H * self.W * views)
        whole = [(r, c) for r in range(self.H) for c in range(self.W)]
        self.halves = [[at for at in whole if sum(at) % 2 == half] for half in (0, 1)]
        self.F = int(basis["confidence"][0])
        self.A = {at: [0] * views for at in whole}
        self.B = dict.fromkeys(whole, 0)
        self.state = [0] * 64
        self.y = np.zeros((self.C, self.H, self.W, views), np.float32)
        self.unit = np.float32(self.payload.step) / np.float32(8)

    def neighbours(self, at):
        r, c = at
        return [near for near in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)) if near in self.B]

    def item(self, cls, trellis):
        """An item's value, and its level as context of later items."""
        payload = self.payload
        d = self.state[trellis] % 2
        kind = cls + 20 if d and 12 <= cls <= 19 else cls
        k = payload.next_u(kind)
        if k >= 15:
            k += payload.escapes.number(3)
        b = cls // 2 - 11 if cls >= 24 else 0
        k = (k << b) + sum(payload.low.take() << place for place in range(b))
        demand(k <= 65535, "an impossible magnitude")
        self.state[trellis] = NEXT[self.state[trellis]][k % 2]
        if k == 0:
            return np.float32(0), 0
        w = 8 - 3 * d if k == 1 else 8 * k - 4 * d
        value = np.float32(w) * self.unit
        return (-value if payload.signs.take() else value), 2 * min(k, 15) - d

    def channel(self, channel):
        scale, expected, J = self.basis["scale"][channel], self.basis["expected"], self.payload.J
        E = {at: int(expected[clip(256 + int(scale[at]) - J, 0, 511)]) for at in self.B}
        E1 = {at: min(E[at], 10240) for at in self.B}
        v = {}
        for half, slots in enumerate(self.halves):
            i = 0
            for at in slots:
                near = self.neighbours(at)
                v[at] = [0] * self.views
                b = self.B[at] + 16 * self.F + (4 * sum(E1[n] for n in near) if half else 0)
                for view in range(self.views):
                    a = self.A[at][view] + self.F + (128 * sum(v[n][view] for n in near) if half else 0)
                    cls = clip((log8(a) + log8(E[at]) - log8(b) + 32) >> 2, 0, 31)
                    self.y[channel][at][view], v[at][view] = self.item(cls, i % 64)
                    i += 1
        for at in self.B:
            near = self.neighbours(at)
            self.A[at] = [past - (past >> 3) + 32 * (4 * v[at][view] + sum(v[n][view] for n in near))
                          for view, past in enumerate(self.A[at])]
            self.B[at] += 4 * E1[at] + sum(E1[n] for n in near) - (self.B[at] >> 3)

    def decode(self):
        for channel in range(self.C):
            self.channel(channel)
        self.payload.end()
        return self.y


def decode_items(basis, data, views):
    """basis: basis.h5's datasets by name; a group's bytes. Items y, float32 [C, H, W, views]."""
    demand(0 < math.prod(basis["mean"].shape) * views <= 2**29, "an impossible group")
    return Group(basis, data, views).decode()

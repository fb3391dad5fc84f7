"""Forms of storage (FORMAT.md, 'Forms'): what each keeps, and the arithmetic back to float32. A form is one class with

    layout(track)          the arrays of a shard, a list of Array
    decode(track, arrays)  those of a group, by name, to float32 [group, shape...]

where `track` has `shape`, of one view, and `settings`, the object in track.json."""
from typing import NamedTuple

import numpy as np


class Array(NamedTuple):
    name: str
    dtype: str
    view_shape: tuple         # without the axis of views
    whole_group: bool = False  # one row of bytes a group, as long as the shard's longest, zeros after its own


class Fp32:
    def layout(self, track):
        return [Array("values", "<f4", track.shape)]

    def decode(self, track, arrays):
        return arrays["values"].astype(np.float32)


class Fp16:
    def layout(self, track):
        return [Array("values", "<f2", track.shape)]

    def decode(self, track, arrays):
        return arrays["values"].astype(np.float32)


class Int8:
    def layout(self, track):
        return [Array("q", "|i1", track.shape), Array("scale", "<f4", track.shape[:1] if len(track.shape) > 1 else ())]

    def decode(self, track, arrays):
        q, scale = arrays["q"], arrays["scale"]
        return q.astype(np.float32) * scale.reshape(scale.shape + (1,) * (q.ndim - scale.ndim))


class Sqrt8:
    ROOTS = np.arange(256, dtype=np.float32) / np.float32(255)
    VALUES = ROOTS * ROOTS

    def layout(self, track):
        return [Array("q", "|u1", track.shape)]

    def decode(self, track, arrays):
        return self.VALUES[arrays["q"]]


FORMS = {"fp32": Fp32(), "fp16": Fp16(), "int8": Int8(), "sqrt8": Sqrt8()}


def from_bytes(layout, contents, group):
    """The arrays of a group, by name, from the bytes of its chunks."""
    arrays = {}
    for array, data in zip(layout, contents):
        values = np.frombuffer(data, array.dtype)
        arrays[array.name] = values if array.whole_group else values.reshape(group, *array.view_shape)
    return arrays

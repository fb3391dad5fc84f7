"""The compiled decoder of transform payloads (tools/python/native/decoder.h). Its items equal the NumPy decoder's bit
for bit, its features up to rounding. Searched in the file named by VITRINE_NATIVE, in this folder, where the installed
package has it, and in build/lib of the surrounding checkout. VITRINE_NATIVE= (empty) disables it."""
from __future__ import annotations

import ctypes
import functools
import os
import pathlib
import sys
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    from .transform import Basis

VERSION, ROOM = 3, 1024
FEATURES, COEFFICIENTS, ITEMS = 0, 1, 2  # what to decode
NAME = "libvitrine_native.dylib" if sys.platform == "darwin" else "libvitrine_native.so"


@functools.cache
def library() -> ctypes.CDLL | None:
    """None if not found."""
    named, here = os.environ.get("VITRINE_NATIVE"), pathlib.Path(__file__).resolve().parent
    if named == "":
        return None
    path = pathlib.Path(named) if named else next(
        (place for place in (here / NAME, here.parents[2] / "build/lib" / NAME) if place.exists()), None)
    if path is None:
        return None
    remedy = "rebuild it (tools/build.sh vitrine_native), or set VITRINE_NATIVE= to disable it"
    try:
        found = ctypes.CDLL(str(path))
        version = found.vitrine_native_version()
    except (OSError, AttributeError) as problem:
        raise InputError(f"{path}: not a decoder for this machine ({problem}); {remedy}") from None
    if version != VERSION:
        raise InputError(f"{path}: is a decoder of version {version}, this program wants {VERSION}; {remedy}")
    found.vitrine_decoder_new.restype = ctypes.c_void_p
    found.vitrine_decoder_new.argtypes = [ctypes.c_uint32] * 3 + [ctypes.c_void_p] * 8 + [
        ctypes.c_uint16, ctypes.c_void_p, ctypes.c_size_t]
    found.vitrine_decoder_free.restype, found.vitrine_decoder_free.argtypes = None, [ctypes.c_void_p]
    found.vitrine_decode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_int,
                                     ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    return found


class Decoder:
    """The decoder for one basis. Thread-safe; cannot be pickled."""

    def __init__(self, found: ctypes.CDLL, basis: Basis) -> None:
        def place(array: np.ndarray | None) -> int | None:
            return None if array is None else array.ctypes.data
        self.found: Any = found
        self.shape = (basis.channels, basis.height, basis.width)
        arrays = [None if array is None else np.ascontiguousarray(array) for array in (
            basis.mean, basis.vectors, basis.eigenvalues, basis.rows, basis.columns, basis.scale, basis.expected,
            basis.levels)]
        message = ctypes.create_string_buffer(ROOM)
        self.handle = found.vitrine_decoder_new(*self.shape, *map(place, arrays), int(basis.confidence[0]), message,
                                               ROOM)
        if not self.handle:
            raise InputError(message.value.decode())  # for instance an unsupported VITRINE_ISA
        weakref.finalize(self, found.vitrine_decoder_free, self.handle)

    def decode(self, payload: np.ndarray, views: int, what: int) -> np.ndarray:
        """uint8 payload to float32 [views, C, H, W], ITEMS [C, H, W, views]. ValueError for an invalid payload."""
        shape = (*self.shape, views) if what == ITEMS else (views, *self.shape)
        payload, out = np.ascontiguousarray(payload), np.empty(shape, np.float32)
        message = ctypes.create_string_buffer(ROOM)
        if self.found.vitrine_decode(self.handle, payload.ctypes.data, payload.size, views, what,
                                     out.ctypes.data, message, ROOM):
            # "payload: it ends too early; the chunk is damaged ...": the caller adds the rest.
            raise ValueError(message.value.decode().removeprefix("payload: ").split(";")[0])
        return out

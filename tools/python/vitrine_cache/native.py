"""The compiled codec (tools/python/native/decoder.h, encoder.h). Its values equal the NumPy decoders' bit for bit, features of the
transform encoding up to rounding. Searched in the file named by VITRINE_NATIVE, in this folder, where the installed
package has it, and in build/lib of the surrounding checkout. VITRINE_NATIVE= (empty) disables it."""
from __future__ import annotations

import ctypes
import functools
import os
import pathlib
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    from .transform import Basis

VERSION, ROOM = 5, 1024
FEATURES, COEFFICIENTS, ITEMS = 0, 1, 2  # what to decode
NAME = "libvitrine_native.dylib" if sys.platform == "darwin" else "libvitrine_native.so"


EIGEN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_size_t, ctypes.POINTER(ctypes.c_double),
                         ctypes.POINTER(ctypes.c_double))


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
    found.vitrine_decode_arrays.argtypes = [
        ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32), ctypes.c_size_t, ctypes.c_double, ctypes.c_uint32,
        ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t), ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p,
        ctypes.c_size_t]
    found.vitrine_encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_double, ctypes.c_void_p,
                                     ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    found.vitrine_calibrator_new.restype = ctypes.c_void_p
    found.vitrine_calibrator_new.argtypes = [ctypes.c_uint32] * 3 + [ctypes.c_char_p, ctypes.c_size_t]
    found.vitrine_calibrator_free.restype, found.vitrine_calibrator_free.argtypes = None, [ctypes.c_void_p]
    found.vitrine_calibrator_add.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t]
    found.vitrine_calibrator_finish.argtypes = [ctypes.c_void_p, ctypes.c_double, ctypes.c_uint32, EIGEN, *[ctypes.c_void_p] * 10,
                                                ctypes.c_char_p, ctypes.c_size_t]
    return found


def required() -> ctypes.CDLL:
    """The library, for what NumPy does not do."""
    found = library()
    if found is None:
        raise InputError("writing the transform encoding needs the compiled codec; pip install ./tools/python, or "
                         "tools/build.sh vitrine_native, or choose another encoding")
    return found


def decode_arrays(encoding: int, shape: tuple[int, ...], max_error: float, arrays: Sequence[np.ndarray], out: np.ndarray) -> bool:
    """Decodes a group's arrays, of the encoding's number in common/codec/encoding.h, to `out`, float32 [views, shape...]. False where
    there is no compiled codec, or for arrays that it rejects: the NumPy decoder says what is wrong with them."""
    found: Any = library()
    if found is None:
        return False
    arrays = [np.ascontiguousarray(array) for array in arrays]
    places = (ctypes.c_void_p * len(arrays))(*map(_address, arrays))
    sizes = (ctypes.c_size_t * len(arrays))(*[array.nbytes for array in arrays])
    return not found.vitrine_decode_arrays(encoding, _sizes(shape), len(shape), max_error, len(out), places, sizes, len(arrays),
                                           _address(out), _message(), ROOM)


def _address(array: np.ndarray) -> int:
    """array.ctypes.data, in a third of the time."""
    place: int = array.__array_interface__["data"][0]
    return place


@functools.lru_cache
def _sizes(shape: tuple[int, ...]) -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * len(shape))(*shape)


_of_thread = threading.local()


def _message() -> ctypes.Array[ctypes.c_char]:
    """This thread's room for an error's words."""
    if not hasattr(_of_thread, "message"):
        _of_thread.message = ctypes.create_string_buffer(ROOM)
    found: ctypes.Array[ctypes.c_char] = _of_thread.message
    return found


class Decoder:
    """The decoder and encoder for one basis. Thread-safe; cannot be pickled."""

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

    def decode(self, payload: np.ndarray, views: int, what: int, out: np.ndarray | None = None) -> np.ndarray:
        """uint8 payload to float32 [views, C, H, W], ITEMS [C, H, W, views], into `out` if given. ValueError for an invalid
        payload."""
        shape = (*self.shape, views) if what == ITEMS else (views, *self.shape)
        payload, out = np.ascontiguousarray(payload), np.empty(shape, np.float32) if out is None else out
        message = _message()
        if self.found.vitrine_decode(self.handle, _address(payload), payload.size, views, what, _address(out), message, ROOM):
            # "payload: it ends too early; the chunk is damaged ...": the caller adds the rest.
            raise ValueError(message.value.decode().removeprefix("payload: ").split(";")[0])
        return out

    def encode(self, values: np.ndarray, max_error: float) -> np.ndarray:
        """float32 [views, C, H, W] to a payload, uint8. ValueError for values that cannot be stored."""
        values = np.ascontiguousarray(values, np.float32)
        out, bytes_ = np.empty(12 * values.size + 4096, np.uint8), ctypes.c_size_t()
        message = ctypes.create_string_buffer(ROOM)
        if self.found.vitrine_encode(self.handle, values.ctypes.data, len(values), max_error, out.ctypes.data, out.size,
                                     ctypes.byref(bytes_), message, ROOM):
            raise ValueError(message.value.decode().split(";")[0])
        return out[:bytes_.value].copy()


class Calibrator:
    """Computes the basis of a transform track from some of its features. Not thread-safe."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.found: Any = required()
        self.shape, self.views = shape, 0
        message = ctypes.create_string_buffer(ROOM)
        self.handle = self.found.vitrine_calibrator_new(*shape, message, ROOM)
        if not self.handle:
            raise InputError(message.value.decode())
        weakref.finalize(self, self.found.vitrine_calibrator_free, self.handle)

    def add(self, values: np.ndarray) -> None:
        """float32 [views, C, H, W], finite."""
        values, message = np.ascontiguousarray(values, np.float32), ctypes.create_string_buffer(ROOM)
        if self.found.vitrine_calibrator_add(self.handle, values.ctypes.data, len(values), message, ROOM):
            raise InputError(message.value.decode())
        self.views += len(values)

    def finish(self, max_error: float, group: int) -> dict[str, np.ndarray]:
        """The arrays of basis.h5 (FORMAT.md); without rows and columns if there is no transform over positions."""
        channels, height, width = self.shape
        out = {"mean": np.empty(self.shape, "<f4"), "vectors": np.empty((channels, channels), "<f4"),
               "eigenvalues": np.empty(channels, "<f4"), "rows": np.empty((height, height), "<f4"),
               "columns": np.empty((width, width), "<f4"), "scale": np.empty(self.shape, "<i2"),
               "expected": np.empty(512, "<u2"), "levels": np.empty((40, 15), np.uint8), "confidence": np.empty(1, "<u2")}
        places = [array.ctypes.data for array in out.values()]
        spatial, message = ctypes.c_int(), ctypes.create_string_buffer(ROOM)
        if self.found.vitrine_calibrator_finish(self.handle, max_error, group, EIGEN(_eigen), *places, ctypes.byref(spatial),
                                                message, ROOM):
            raise InputError(message.value.decode())
        return out if spatial.value else {name: array for name, array in out.items() if name not in ("rows", "columns")}


def _eigen(matrix: Any, n: int, values: Any, vectors: Any) -> int:
    """vitrine_eigen (encoder.h)."""
    try:
        own, columns = np.linalg.eigh(np.ctypeslib.as_array(matrix, (n, n)))
    except np.linalg.LinAlgError:
        return 1
    np.ctypeslib.as_array(values, (n,))[:] = own[::-1]
    np.ctypeslib.as_array(vectors, (n, n))[:] = columns.T[::-1]
    return 0

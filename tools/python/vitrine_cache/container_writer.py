"""Writes a container (FORMAT.md): an HDF5 file of Zstandard chunks with a checksummed table before it. Needs h5py and
hdf5plugin. The file appears under its name when it is complete and on disk."""
from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zstandard
from xxhash import xxh3_64_intdigest as xxh3

from ._version import __version__
from .container import CHECKSUM_BYTES, CHUNK, DATASET, HEADER, ITEM_BYTES, MAGIC, MAJOR
from .errors import InputError, system_error

ZSTD_FILTER, LEAST_USER_BLOCK = 32015, 512
SUPERBLOCK_BYTES, MASK = 44, 2**32 - 1  # of HDF5's superblock before its checksum; of 32 bits


class NewDataset(NamedTuple):
    name: str
    dtype: str
    shape: tuple[int, ...]
    chunk_rows: int
    frames: list[bytes]  # of each chunk, in order


class FileRecord(NamedTuple):
    """A line of shards.json."""
    name: str
    bytes: int
    xxh3: str


def compress(data: bytes, level: int) -> bytes:
    """One frame with its content's size and checksum."""
    return zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True).compress(data)


def hdf5() -> Any:
    """h5py, with the filter."""
    try:
        import h5py  # type: ignore[import-untyped]
        import hdf5plugin  # noqa: F401
    except ImportError as problem:
        raise InputError(f"writing a cache needs h5py and hdf5plugin ({problem}); pip install 'vitrine_cache[hdf5]'") from None
    return h5py


def written_by() -> dict[str, str]:
    """The versions that a file's bytes depend on."""
    return {"vitrine": __version__, "hdf5": hdf5().version.hdf5_version, "zstd": ".".join(map(str, zstandard.ZSTD_VERSION))}


def write_container(path: Path, datasets: Sequence[NewDataset], text: bytes, required_flags: int) -> FileRecord:
    """`text`: the attribute's JSON. An existing file stays, as another process may have written the same."""
    table_bytes = (HEADER.itemsize + DATASET.itemsize * len(datasets) + CHUNK.itemsize * sum(len(d.frames) for d in datasets) +
                   len(text) + CHECKSUM_BYTES)
    user_block = max(LEAST_USER_BLOCK, 1 << (table_bytes - 1).bit_length())
    try:
        content, places = _hdf5_file(datasets, text, user_block)
        table = _table(content, datasets, places, text, table_bytes, user_block, required_flags)
        content[:len(table)] = table
        publish(path, bytes(content))
    except OSError as problem:
        raise system_error(problem, path, "cannot be written", "check the directory and its free space") from None
    return FileRecord(path.name, len(content), f"{xxh3(bytes(content)):016x}")


def publish(path: Path, content: bytes, replace: bool = False) -> None:
    """Writes a file aside, flushes it to disk and renames it. OSError."""
    part = path.with_name(f"{path.name}.part.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(8)}.0")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace or not path.exists():
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _hdf5_file(datasets: Sequence[NewDataset], text: bytes, user_block: int) -> tuple[bytearray, list[list[int]]]:
    """The file, made in memory, as HDF5 ends the program where a disk is full; and the places of all chunks as HDF5 reports them."""
    h5py = hdf5()
    types = {"<f4": h5py.h5t.IEEE_F32LE, "<f2": h5py.h5t.IEEE_F16LE, "|i1": h5py.h5t.STD_I8LE, "|u1": h5py.h5t.STD_U8LE,
             "<i2": h5py.h5t.STD_I16LE, "<u2": h5py.h5t.STD_U16LE, "<u4": h5py.h5t.STD_U32LE}
    creation, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    creation.set_userblock(user_block)
    creation.set_obj_track_times(False)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_fapl_core(1 << 20, backing_store=False)
    file = h5py.h5f.create(b"in memory", h5py.h5f.ACC_TRUNC, creation, access)
    try:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(len(text))
        kind.set_strpad(h5py.h5t.STR_NULLPAD)
        kind.set_cset(h5py.h5t.CSET_UTF8)
        attribute = h5py.h5a.create(file, b"vitrine", kind, h5py.h5s.create(h5py.h5s.SCALAR))
        attribute.write(np.array(text, f"S{len(text)}"), mtype=kind)
        made = []
        for d in datasets:
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_chunk((d.chunk_rows, *d.shape[1:]))
            properties.set_filter(ZSTD_FILTER, h5py.h5z.FLAG_MANDATORY, ())
            properties.set_obj_track_times(False)
            properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            # HDF5 allows a chunk larger than the dataset only if the dataset is extensible.
            space = h5py.h5s.create_simple(d.shape, (max(d.shape[0], d.chunk_rows), *d.shape[1:]))
            made.append(h5py.h5d.create(file, d.name.encode(), types[d.dtype], space, properties))
        corners = [[(c * d.chunk_rows, *[0] * (len(d.shape) - 1)) for c in range(len(d.frames))] for d in datasets]
        for c in range(max(len(d.frames) for d in datasets)):  # group by group, so that data read together is adjacent
            for d, dataset, corner in zip(datasets, made, corners):
                if c < len(d.frames):
                    dataset.write_direct_chunk(corner[c], d.frames[c])
        places = [[dataset.get_chunk_info_by_coord(corner).byte_offset for corner in own] for dataset, own in zip(made, corners)]
        h5py.h5f.flush(file)
        content = bytearray(user_block) + file.get_file_image()
    finally:
        file.close()
    checksum = slice(user_block + SUPERBLOCK_BYTES, user_block + SUPERBLOCK_BYTES + 4)  # the image's is that of an open file
    content[checksum] = _lookup3(content[user_block:checksum.start]).to_bytes(4, "little")
    return content, places


def _lookup3(data: bytes) -> int:
    """The checksum of HDF5's metadata: Bob Jenkins's hashlittle() (https://burtleburtle.net/bob/c/lookup3.c), of whole words."""
    words = list(np.frombuffer(data, "<u4").astype(object))
    a = b = c = (0xDEADBEEF + len(data)) & MASK

    def turned(value: int, bits: int) -> int:
        return (value << bits | value >> (32 - bits)) & MASK
    while len(words) > 3:
        a, b, c = (a + words[0]) & MASK, (b + words[1]) & MASK, (c + words[2]) & MASK
        for bits in (4, 6, 8, 16, 19, 4):
            a = ((a - c) & MASK) ^ turned(c, bits)
            c = (c + b) & MASK
            a, b, c = b, c, a
        words = words[3:]
    a, b, c = ((value + word) & MASK for value, word in zip((a, b, c), [*words, 0, 0, 0]))
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - turned(b, bits)) & MASK
        a, b, c = b, c, a
    return b


def _table(content: bytearray, datasets: Sequence[NewDataset], places: list[list[int]], text: bytes, table_bytes: int,
           user_block: int, required_flags: int) -> bytes:
    head, entries = np.zeros(1, HEADER), np.zeros(len(datasets), DATASET)
    chunks = np.zeros(sum(len(d.frames) for d in datasets), CHUNK)
    first = 0
    for entry, d, own in zip(entries, datasets, places):
        entry["name"], entry["dtype"] = np.void(d.name.encode().ljust(32, b"\0")), np.void(d.dtype.encode().ljust(16, b"\0"))
        entry["axes"], entry["chunk_rows"] = len(d.shape), d.chunk_rows
        entry["shape"][:len(d.shape)] = d.shape
        entry["first_chunk"], entry["chunks"] = first, len(d.frames)
        raw = ITEM_BYTES[d.dtype] * d.chunk_rows * int(np.prod(d.shape[1:]))
        for frame, told in zip(d.frames, own):
            # HDF5 1.10 reports addresses relative to the user block's end, later versions to the file's beginning.
            offset = next((at for at in (told + user_block, told) if content[at:at + len(frame)] == frame), None)
            if offset is None:
                raise InputError(f"a chunk of dataset {d.name} is not where HDF5 says; use another version of h5py")
            chunks[first] = (offset, len(frame), raw, xxh3(frame))
            first += 1
    head["magic"] = np.void(MAGIC)
    numbers = {"major": MAJOR, "required": required_flags, "datasets": len(datasets), "table_bytes": table_bytes,
               "user_block": user_block, "file_bytes": len(content), "chunks": len(chunks), "json_bytes": len(text)}
    for field, value in numbers.items():
        head[field] = value
    table = head.tobytes() + entries.tobytes() + chunks.tobytes() + text
    return table + xxh3(table).to_bytes(CHECKSUM_BYTES, "little")

"""The container of all binary data in a cache (FORMAT.md): one read for the table, one per chunk, without HDF5.

The table is checked for consistency with itself and the file before anything is allocated, and every returned byte has
passed two checksums: XXH3-64 of the stored bytes and Zstandard's of the content."""
from __future__ import annotations

import json
import math
import os
import stat
import struct
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import zstandard
from xxhash import xxh3_64_intdigest as xxh3

from .errors import CacheError, CorruptError, InputError, IoError, NewerFormatError, system_error

__all__ = ["CacheError", "Container", "Dataset", "parse_json"]

MAGIC, MAJOR, KNOWN_REQUIRED_FLAGS = b"VITRINE\0", 2, 3
FIRST_READ = 65536  # most tables fit
CHECKSUM_BYTES = 8
WRONG_CHECKSUM = "its table's checksum is wrong"
DEEPEST_JSON = 32
LARGEST_TABLE = 1 << 30  # a sparse file may have any size
MOST_DATASETS = 256
LARGEST_EXPANSION = 1 << 15  # of zstd: a block of 4 bytes gives 128 KiB
HEADER = np.dtype([("magic", "V8"), ("major", "<u2"), ("minor", "<u2"), ("required", "<u4"), ("ignorable", "<u4"),
                   ("datasets", "<u4"), ("table_bytes", "<u8"), ("user_block", "<u8"), ("file_bytes", "<u8"),
                   ("chunks", "<u8"), ("json_bytes", "<u4"), ("reserved", "<u4")])
DATASET = np.dtype([("name", "V32"), ("dtype", "V16"), ("axes", "<u4"), ("chunk_rows", "<u4"), ("shape", "<u8", 8),
                    ("first_chunk", "<u8"), ("chunks", "<u8")])
CHUNK = np.dtype([("offset", "<u8"), ("stored_bytes", "<u4"), ("raw_bytes", "<u4"), ("hash", "<u8")])
CHUNK_ENTRY = struct.Struct("<QIIQ")  # the same, quicker for one
# Opening a named pipe would block.
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
ITEM_BYTES = {"<f4": 4, "<f2": 2, "|i1": 1, "|u1": 1, "<i2": 2, "<u2": 2, "<u4": 4, "<u8": 8, "|V40": 40}


def parse_json(data: bytes) -> Any:
    """Parses JSON in UTF-8; ValueError for any other bytes, and for nesting deeper than DEEPEST_JSON levels."""
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    def levels(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(levels, inner), default=0)
    try:
        found = json.loads(data.decode(), parse_constant=refuse)
        if levels(found) <= DEEPEST_JSON:
            return found
    except RecursionError:
        pass
    raise ValueError("it is nested too deeply")


def check_format_version(major: int, version: str, path: str | os.PathLike[str], known: int = MAJOR) -> None:
    """Rejects a file of another major version of the format; `version`: as in the file; `known`: the version that is read, of
    the cache or of a file with its own."""
    if major == 0:
        raise CorruptError(f"{path}: has format version {version}, which does not exist; the file is damaged, copy or make it "
                         "again")
    if major < known:
        raise InputError(f"{path}: has format version {major}.x, which no release wrote; extract the cache again")
    if major > known:
        raise NewerFormatError(f"{path}: has format version {version}, this program reads {known}.x; use a newer vitrine")


def check_json_version(found: dict[str, Any], path: str | os.PathLike[str], known: int = MAJOR) -> None:
    """The same for the "version" of a JSON object."""
    version = found.get("version")
    if type(version) is not int or version < 0:
        raise CorruptError(f"{path}: has no format version; expected \"version\": {known}; the file is damaged, copy or make it "
                         "again")
    check_format_version(version, str(version), path, known)


class Dataset(NamedTuple):
    name: str
    dtype: str  # NumPy's name
    shape: tuple[int, ...]
    chunk_rows: int
    first_chunk: int  # index in the file's list of chunks
    chunks: int

    @property
    def chunk_bytes(self) -> int:
        return ITEM_BYTES[self.dtype] * math.prod(self.shape[1:]) * self.chunk_rows


_of_thread = threading.local()


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_of_thread, "decompressor"):
        _of_thread.decompressor = zstandard.ZstdDecompressor()
    return _of_thread.decompressor


class _File:
    """A file opened for a with statement, with its own descriptor: reading takes no lock."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> _File:
        try:
            self.descriptor = os.open(self.path, OPEN_FLAGS)
        except OSError as problem:
            raise self._cannot_open(problem) from None
        try:
            status = os.fstat(self.descriptor)
        except OSError as problem:
            os.close(self.descriptor)
            raise self._cannot_open(problem) from None
        if not stat.S_ISREG(status.st_mode):
            os.close(self.descriptor)
            raise InputError(f"{self.path}: is not a regular file; remove it, then extract or copy the file")
        self.bytes = status.st_size
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def _cannot_open(self, problem: OSError) -> CacheError:
        return system_error(problem, self.path, "cannot be opened", "extract or copy it, or use passes that are complete")

    def read(self, count: int, offset: int) -> bytes:
        """Reads exactly `count` bytes, or fewer at the file's end."""
        try:
            data = self._read_some(count, offset)
            while len(data) < count and (more := self._read_some(count - len(data), offset + len(data))):
                data += more
        except OSError as problem:
            raise system_error(problem, self.path, "cannot be read", "check the disk, then try again") from None
        return data

    def _read_some(self, count: int, offset: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self.descriptor, count, offset)
        os.lseek(self.descriptor, offset, os.SEEK_SET)  # Windows
        return os.read(self.descriptor, count)


class Container:
    """One file. Immutable; usable from any thread or process. No descriptor stays open."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with _File(self.path) as file:
            self.file_bytes = file.bytes
            data = file.read(FIRST_READ, 0)
            header = self._check_header(data, file)
            table_bytes = int(header["table_bytes"])
            if table_bytes > len(data):
                data += file.read(table_bytes - len(data), len(data))
        data = data[:table_bytes]
        self._table_checksum = data[-CHECKSUM_BYTES:]
        if xxh3(data[:-CHECKSUM_BYTES]) != int.from_bytes(self._table_checksum, "little"):
            self._damaged(WRONG_CHECKSUM)
        at = HEADER.itemsize
        self.datasets = self._parse_datasets(np.frombuffer(data, DATASET, int(header["datasets"]), at))
        at += DATASET.itemsize * int(header["datasets"])
        self.chunks = np.frombuffer(data, CHUNK, int(header["chunks"]), at)
        at += CHUNK.itemsize * int(header["chunks"])
        self._check_chunks(table_bytes)
        self.text = data[at:at + int(header["json_bytes"])]

    def _changed(self) -> IoError:
        return IoError(f"{self.path}: the file changed while it was in use; start again")

    def _damaged(self, what: str) -> NoReturn:
        raise CorruptError(f"{self.path}: {what}; the file is damaged, copy or make it again")

    @staticmethod
    def _is_whole_with(file: _File, data: bytes, field: str, value: int) -> bool:
        """Whether the table's checksum is right with `value` in a field of the header, which proves that only this
        field of a file of this version was changed."""
        table_bytes = int(np.frombuffer(data, HEADER, 1)[0]["table_bytes"])
        if not HEADER.itemsize + CHECKSUM_BYTES <= table_bytes <= min(file.bytes, LARGEST_TABLE):
            return False
        table = np.frombuffer(file.read(table_bytes, 0), np.uint8).copy()
        if len(table) != table_bytes:
            return False
        table[:HEADER.itemsize].view(HEADER)[field] = value
        return xxh3(table[:-CHECKSUM_BYTES].tobytes()) == int.from_bytes(table[-CHECKSUM_BYTES:].tobytes(), "little")

    def _check_header(self, data: bytes, file: _File) -> np.void:
        if len(data) < HEADER.itemsize or data[:8] != MAGIC:
            raise CorruptError(
                f"{self.path}: is not a file of a vitrine cache (it does not begin with VITRINE); check the path")
        header = np.frombuffer(data, HEADER, 1)[0]
        major, required = int(header["major"]), int(header["required"])
        if major != MAJOR and self._is_whole_with(file, data, "major", MAJOR):
            self._damaged(WRONG_CHECKSUM)
        check_format_version(major, f"{major}.{header['minor']}", self.path)
        if unknown := required & ~KNOWN_REQUIRED_FLAGS:
            if self._is_whole_with(file, data, "required", required & KNOWN_REQUIRED_FLAGS):
                self._damaged(WRONG_CHECKSUM)
            raise NewerFormatError(
                f"{self.path}: needs features that this program does not know (flags {unknown}); use a newer "
                "vitrine")
        if header["file_bytes"] != self.file_bytes:
            self._damaged(f"has {self.file_bytes} bytes, expected {header['file_bytes']}")
        if not header["table_bytes"] <= min(header["user_block"], LARGEST_TABLE) or header["user_block"] > self.file_bytes:
            self._damaged(f"its table of {header['table_bytes']} bytes does not fit into its user block")
        parts = (HEADER.itemsize + DATASET.itemsize * int(header["datasets"]) + CHUNK.itemsize * int(header["chunks"]) +
                 int(header["json_bytes"]) + CHECKSUM_BYTES)
        if header["datasets"] > MOST_DATASETS or parts != header["table_bytes"]:
            self._damaged("the sizes in its table do not add up")
        return header

    def _parse_datasets(self, entries: np.ndarray) -> dict[str, Dataset]:
        datasets, next_chunk = {}, 0
        for entry in entries:
            name, dtype = (self._fixed_text(entry[field].tobytes()) for field in ("name", "dtype"))
            axes, shape = int(entry["axes"]), entry["shape"].tolist()
            if not name or dtype not in ITEM_BYTES or not 1 <= axes <= 8:
                self._damaged("a dataset's description is invalid")
            if 0 in shape[:axes] or any(shape[axes:]):
                self._damaged(f"dataset {name} has an impossible shape")
            dataset = Dataset(name, dtype, tuple(shape[:axes]), int(entry["chunk_rows"]), int(entry["first_chunk"]),
                              int(entry["chunks"]))
            if not 0 < dataset.chunk_bytes < 2**32 or math.prod(dataset.shape) >= 2**63:
                self._damaged(f"dataset {name} has an impossible size")
            if dataset.chunks != -(-dataset.shape[0] // dataset.chunk_rows):
                self._damaged(f"dataset {name} has {dataset.chunks} chunks, which does not fit its shape")
            if dataset.first_chunk != next_chunk:
                self._damaged(f"dataset {name} claims chunks that are not its own")
            if name in datasets:
                self._damaged(f"dataset {name} is listed twice")
            datasets[name] = dataset
            next_chunk += dataset.chunks
        self._claimed_chunks = next_chunk
        return datasets

    @staticmethod
    def _fixed_text(field: bytes) -> str:
        """The text of a zero-padded field; empty for anything else."""
        word = field.rstrip(b"\0")
        return word.decode("ascii") if all(33 <= c <= 126 for c in word) else ""

    def _check_chunks(self, table_bytes: int) -> None:
        if self._claimed_chunks != len(self.chunks):
            self._damaged("its datasets and its list of chunks do not fit each other")
        offsets, stored, size = self.chunks["offset"], self.chunks["stored_bytes"], np.uint64(self.file_bytes)
        wrong = (offsets < table_bytes) | (offsets > size) | (stored > size - np.minimum(offsets, size))
        for dataset in self.datasets.values():
            own = slice(dataset.first_chunk, dataset.first_chunk + dataset.chunks)
            wrong[own] |= self.chunks["raw_bytes"][own] != dataset.chunk_bytes
        wrong |= self.chunks["raw_bytes"] // LARGEST_EXPANSION > stored
        if wrong.any():
            first = int(wrong.argmax())
            for dataset in self.datasets.values():
                if dataset.first_chunk <= first < dataset.first_chunk + dataset.chunks:
                    self._damaged(f"chunk {first - dataset.first_chunk} of dataset {dataset.name} has an impossible "
                                  "place or size")
        order = np.argsort(offsets, kind="stable")
        shared = np.flatnonzero(offsets[order][1:] < (offsets + stored)[order][:-1])
        if len(shared):
            self._damaged(f"its chunks overlap at byte {offsets[order][shared[0] + 1]}")

    def json(self, kind: str) -> dict[str, Any]:
        """The attributes; raises unless their "format" is `kind`."""
        try:
            found = parse_json(self.text)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("format") != kind:
            raise InputError(f"{self.path}: is not a file of the kind \"{kind}\"; copy or make it again")
        return found

    def expect(self, attributes: dict[str, Any], **wanted: Any) -> None:
        for key, value in wanted.items():
            found = attributes.get(key)
            if found != value:
                found, value = (json.dumps(part, ensure_ascii=False, separators=(",", ":")) for part in (found, value))
                raise InputError(f"{self.path}: has {key} {found}, expected {value}; the file belongs to another cache or "
                                 "place, copy or make it again")

    def find(self, name: str) -> Dataset:
        if name not in self.datasets:
            raise InputError(
                f"{self.path}: has no dataset \"{name}\"; it is not the file that its name says, copy or "
                "make it again")
        return self.datasets[name]

    def expect_dataset(self, name: str, dtype: str, shape: tuple[int | None, ...], chunk_rows: int) -> None:
        """`shape` may have None for a length that only the file knows."""
        found = self.find(name)
        fits = len(found.shape) == len(shape) and all(w in (None, f) for f, w in zip(found.shape, shape))
        if found.dtype != dtype or not fits or found.chunk_rows != chunk_rows:
            raise InputError(
                f"{self.path}: dataset {name} has an unexpected type or shape; copy or make "
                "it again")

    def read(self, names: Sequence[str], chunk: int) -> list[bytes]:
        """The content of chunk `chunk` of each named dataset: bytes, of full chunks."""
        return self.read_chunks([(name, chunk) for name in names])

    def read_chunks(self, places: Sequence[tuple[str, int]]) -> list[bytes]:
        """The content of each (dataset name, chunk): bytes, of full chunks. Opens the file once."""
        contents = []
        with _File(self.path) as file:
            if file.bytes != self.file_bytes:
                raise self._changed()
            for name, chunk in places:
                dataset = self.find(name)
                if not 0 <= chunk < dataset.chunks:
                    raise InputError(f"{self.path}: dataset {name}, group {chunk}: does not exist; the dataset has "
                                     f"{dataset.chunks}")
                contents.append(self._read_chunk(file, dataset, chunk))
        return contents

    def _read_chunk(self, file: _File, dataset: Dataset, chunk: int) -> bytes:
        place = CHUNK.itemsize * (dataset.first_chunk + chunk)
        offset, stored_bytes, raw_bytes, checksum = CHUNK_ENTRY.unpack_from(self.chunks.data, place)
        stored = file.read(stored_bytes, offset)
        if len(stored) != stored_bytes or xxh3(stored) != checksum:
            if Container(self.path)._table_checksum != self._table_checksum:
                raise self._changed()
            raise CorruptError(f"{self.path}: dataset {dataset.name}, group {chunk}: its checksum is wrong; the file is damaged, "
                               "copy or make it again")
        try:
            frame = zstandard.get_frame_parameters(stored)
            if not frame.has_checksum or frame.content_size != raw_bytes:
                raise zstandard.ZstdError("no checksum, or another size")
            return _decompressor().decompress(stored, allow_extra_data=False)
        except zstandard.ZstdError as problem:
            raise CorruptError(f"{self.path}: dataset {dataset.name}, group {chunk}: cannot be decompressed ({problem}); the file "
                               "is damaged, copy or make it again") from None

    def read_all(self, name: str, dtype: str | None = None) -> np.ndarray:
        """All rows of a dataset, as an array."""
        dataset = self.find(name)
        data = b"".join(self.read_chunks([(name, chunk) for chunk in range(dataset.chunks)]))
        rows = np.frombuffer(data, dtype or dataset.dtype).reshape(-1, *dataset.shape[1:])
        return rows[:dataset.shape[0]]

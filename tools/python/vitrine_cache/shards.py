"""A directory of numbered files."""
from __future__ import annotations

import collections
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .container import Container
from .errors import InputError, system_error

SHARD_NAME = re.compile(r"([0-9]{5}|[1-9][0-9]{5,9})\.h5")


def is_kind(entry: os.DirEntry[str], kind: str) -> bool:
    """os.DirEntry's is_file() or is_dir(); False for a link that cannot be followed."""
    try:
        return bool(getattr(entry, kind)())
    except OSError:
        return False


class ShardDirectory:
    """The numbered files of one directory, each read and checked on first use. `check(container, number)`."""

    def __init__(self, directory: str | Path, check: Callable[[Container, int], None] | None) -> None:
        self.directory, self.check = Path(directory), check
        self.numbers: list[int] = []
        self.strange: dict[int, InputError] = {}  # InputErrors, by number, of entries with a shard's name that are not files
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            entries = []
        except OSError as problem:
            raise system_error(problem, directory, "cannot be listed", "make it readable") from None
        for entry in entries:
            if not (match := SHARD_NAME.fullmatch(entry.name)):
                continue
            if is_kind(entry, "is_file"):
                self.numbers.append(int(match[1]))
            else:
                what = "is not a regular file" if os.path.exists(entry.path) else "is a link that cannot be followed"
                self.strange[int(match[1])] = InputError(f"{entry.path}: {what}; remove it, then extract or copy the file")
        self.numbers.sort()
        self.there = frozenset(self.numbers)
        self._open: dict[int, Container] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def path(self, number: int) -> Path:
        return self.directory / f"{number:05d}.h5"

    def open(self, number: int) -> Container:
        found = self._open.get(number)
        if found is None:
            if number in self.strange:
                raise self.strange[number].with_traceback(None)
            if number not in self.there:
                raise InputError(
                    f"{self.path(number)}: is missing; extract or copy it, or use passes that are complete")
            found = Container(self.path(number))
            if self.check is not None:
                self.check(found, number)
            with self._lock:
                self._open[number] = found
        return found

    def passes(self, shards_per_pass: int) -> list[int]:
        """Passes with all shards present."""
        counts = collections.Counter(number // shards_per_pass for number in self.numbers)
        return sorted(pass_ for pass_, shards in counts.items() if shards == shards_per_pass)

    def stored_bytes(self) -> int:
        return sum(self.path(number).stat().st_size for number in self.numbers)

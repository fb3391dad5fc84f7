"""Writes tracks as plain arrays, for tools that know nothing of Vitrine: .npy files, or one HDF5 file without filters."""
from __future__ import annotations

import contextlib
import functools
import json
import operator
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .cache import Cache
from .errors import InputError, system_error
from .recipes import RECIPE
from .track import Track

TYPES = {"fp16": np.float16, "fp32": np.float32}
AXES = {"logits": ("class",), "embedding": ("channel",), "features": ("channel", "row", "column"),
        "attention": ("head", "row", "column")}
UNITS = {"logits": "logit", "embedding": "1", "features": "1", "attention": "probability"}


def export(cache: Cache, out: str | os.PathLike[str], tracks: Sequence[str] | None = None, encoding: str = "fp16",
           passes: Sequence[int] | None = None) -> list[int]:
    """Writes `tracks` (by default all) of `passes` (by default those complete in all of them) and returns the passes.

    If `out` ends in .h5 or .hdf5, one HDF5 file: a dataset [passes, views, shape...] for each track, TEACHER/NAME, with
    attributes, `views` [passes, views] and `images/id`, `images/label`, `classes`. Otherwise a directory: TEACHER/NAME.npy
    for each track, views.npy, and about.json with the rest. View v of a pass is view v % group of group v // group; `views`
    has FORMAT.md's recipe for each (image, crop, mixing). `encoding`: "fp16" or "fp32", of the values.
    """
    out = Path(out)
    if encoding not in TYPES:
        raise InputError(f"encoding = {encoding!r} is not allowed; expected fp16 or fp32")
    if os.path.lexists(out):
        raise InputError(f"{out}: exists; give another name, or remove it")
    chosen = [cache.track(name) for name in tracks] if tracks is not None else list(cache.tracks)
    if not chosen:
        raise InputError(f"{cache.directory}: has no track to export")
    numbers = _passes(cache, chosen, passes)
    part = out.with_name(f"{out.name}.part.{os.getpid()}")
    write = _write_hdf5 if out.suffix in (".h5", ".hdf5") else _write_npy
    try:
        with _removed_on_failure(part):
            write(cache, part, chosen, encoding, numbers)
            os.replace(part, out)
    except OSError as problem:
        raise system_error(problem, out, "cannot be written", "check the directory and its free space") from None
    return numbers


@contextlib.contextmanager
def _removed_on_failure(part: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        part.unlink(missing_ok=True)
        raise


def _passes(cache: Cache, tracks: list[Track], passes: Sequence[int] | None) -> list[int]:
    complete = functools.reduce(operator.and_, [set(cache.recipe_passes), *(set(track.passes) for track in tracks)])
    numbers = sorted(complete if passes is None else set(passes))
    missing = [number for number in numbers if number not in complete]
    if missing or not numbers:
        what = f"pass {missing[0]} is" if missing else "no pass is"
        raise InputError(f"{cache.directory}: {what} not complete in all of the chosen tracks; there are {sorted(complete)}"
                         if missing else f"{cache.directory}: {what} complete in all of the chosen tracks; choose fewer tracks")
    return numbers


def _values(track: Track, encoding: str, pass_: int, group: int) -> np.ndarray:
    values = track.read(pass_, group)
    if encoding == "fp16" and np.abs(values).max(initial=0) > np.finfo(np.float16).max:
        raise InputError(f"{track.directory}: pass {pass_}, group {group}: has a value of {np.abs(values).max():g}, which fp16 "
                         "cannot hold; use fp32")
    return values.astype(TYPES[encoding])


def _fill(cache: Cache, passes: list[int], into: Any, read: Any, check: Callable[[], None]) -> None:
    """into[i, rows] = read(pass, group) for every group, and check() after it."""
    size = cache.plan.group
    for i, pass_ in enumerate(passes):
        for group in range(cache.plan.groups_per_pass):
            into[i, group * size:(group + 1) * size] = read(pass_, group)
            check()


def _about(track: Track) -> dict[str, Any]:
    """What a user of the values must know of them."""
    return {"kind": track.kind, "block": track.known["block"], "teacher": track.teacher,
            "weights_sha256": track.known["teacher"]["weights_sha256"], "axes": ["pass", "view", *AXES[track.kind]],
            "units": UNITS[track.kind], "normalised": track.known["normalised"], "stored_as": track.encoding,
            **{f"stored_{key}": value for key, value in track.codec.items() if key != "basis"}}


def _write_npy(cache: Cache, part: Path, tracks: list[Track], encoding: str, passes: list[int]) -> None:
    part.mkdir(parents=True)
    views = cache.plan.groups_per_pass * cache.plan.group

    def array(name: str, dtype: Any, shape: tuple[int, ...], read: Any) -> None:
        path = part / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (len(passes), views, *shape)}
        with open(path, "wb") as file:  # a full disk kills a program that writes to a memory map
            np.lib.format.write_array_header_1_0(file, header)
            for pass_ in passes:
                for group in range(cache.plan.groups_per_pass):
                    file.write(read(pass_, group).tobytes())

    for track in tracks:
        array(f"{track.directory.parent.name}/{track.name}", TYPES[encoding], track.shape,
              functools.partial(_values, track, encoding))
    array("views", RECIPE, (), cache.recipes)
    about = {"plan": cache.plan.hash, "group": cache.plan.group, "passes": passes,
             "tracks": {f"{track.directory.parent.name}/{track.name}": _about(track) for track in tracks},
             "classes": cache.classes, "labels": cache.labels.tolist(), "ids": cache.ids}
    (part / "about.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


class _Enduring:
    """A file for HDF5, which ends the program where a write fails: here none does, and `check` raises the first problem."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "w+b", buffering=0)
        self.problem: OSError | None = None
        self.read, self.readinto, self.seek, self.tell = self.file.read, self.file.readinto, self.file.seek, self.file.tell

    def _kept(self, work: Callable[[], Any]) -> None:
        try:
            if self.problem is None:
                work()
        except OSError as problem:
            self.problem = problem

    def write(self, content: memoryview) -> int:
        def whole() -> None:
            rest = memoryview(content).cast("B")
            while rest:
                rest = rest[self.file.write(rest):]
        self._kept(whole)
        return len(content)

    def close(self) -> None:
        self.file.close()

    def truncate(self, size: int | None = None) -> None:
        self._kept(lambda: self.file.truncate(size))

    def flush(self) -> None:
        """Every write went through."""

    def check(self) -> None:
        if self.problem is not None:
            raise self.problem


def _write_hdf5(cache: Cache, part: Path, tracks: list[Track], encoding: str, passes: list[int]) -> None:
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError:
        raise InputError("writing HDF5 needs h5py, which is not installed; pip install h5py, or export to a directory of .npy "
                         "files") from None
    views, size = cache.plan.groups_per_pass * cache.plan.group, cache.plan.group
    part.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(_Enduring(part)) as place, h5py.File(place, "w") as file:
        file.attrs.update(plan=cache.plan.hash, group=size, passes=passes)
        for track in tracks:
            made = file.create_dataset(f"{track.directory.parent.name}/{track.name}", (len(passes), views, *track.shape),
                                       TYPES[encoding], chunks=(1, size, *track.shape))
            about = _about(track)
            for axis, label in enumerate(about.pop("axes")):
                made.dims[axis].label = label
            made.attrs.update(about)
            _fill(cache, passes, made, functools.partial(_values, track, encoding), place.check)
        recipes = file.create_dataset("views", (len(passes), views), RECIPE)
        _fill(cache, passes, recipes, cache.recipes, place.check)
        text = h5py.string_dtype()
        file.create_dataset("images/id", data=np.array(cache.ids, object), dtype=text)
        file.create_dataset("images/label", data=cache.labels)
        file["images/label"].attrs["none"] = -1
        file.create_dataset("classes", data=np.array(cache.classes, object), dtype=text)
        file.close()
        place.check()

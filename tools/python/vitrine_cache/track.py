"""One kind of target of one teacher."""
from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .container import Container, check_json_version
from .encodings import ENCODINGS, TOPK, TRANSFORM, Newer, from_bytes
from .errors import CorruptError, InputError, NewerFormatError
from .json_files import read_json
from .plan import Plan
from .shards import ShardDirectory
from .track_settings import Fields, differences, is_text, known
from .transform import Basis

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CLASSES = "classes.json"


def _known(settings: Any, path: str | Path) -> dict[str, Any]:
    """known() for a track's object in the file at `path`."""
    try:
        return known(settings)
    except Newer as problem:
        raise NewerFormatError(f"{path}: {problem}") from None
    except ValueError as problem:
        raise CorruptError(f"{path}: {problem}") from None


def _names(path: Path) -> list[str]:
    """Of a teacher's classes.json, in the order of its logits."""
    found, _ = read_json(path, "vitrine teacher classes", version=1)
    try:
        names: list[str] = Fields(found).list("names", is_text, "a text")
    except ValueError as problem:
        raise CorruptError(f"{path}: {problem}") from None
    if not names:
        raise CorruptError(f"{path}: names is empty; the file is damaged, copy or make it again")
    return names


class Track:
    """One kind of target of one teacher. `settings`: track.json's object; `name`: "logits", "features.11"."""

    def __init__(self, directory: str | Path, plan: Plan) -> None:
        self.directory, self.plan = Path(directory), plan
        path = self.directory / "track.json"
        self.settings, _ = read_json(path, "vitrine track", checked=True)
        self.known = _known(self.settings, path)
        self.teacher: str = self.known["teacher"]["name"]
        self.kind: str = self.known["kind"]
        self.encoding: str = self.known["encoding"]
        self.shape: tuple[int, ...] = tuple(self.known["shape"])
        self.codec: dict[str, Any] = self.known["codec"]
        block = self.settings["block"]
        self.name = self.kind if block < 0 else f"{self.kind}.{block}"
        plan_hash, place = self.settings["plan"], f"{self.teacher}.{self.known['teacher']['weights_sha256'][:8]}/{self.name}"
        if plan_hash != plan.hash:
            raise InputError(
                f"{path}: was made for another plan ({plan_hash[:8]}, this cache has {plan.hash[:8]}); remove "
                "the directory or put it into its own cache")
        if f"{self.directory.parent.name}/{self.directory.name}" != place:
            raise InputError(f"{path}: belongs in {place}; rename its directory back")
        self._check_class_names()
        self.group, self.layout = plan.group, ENCODINGS[self.encoding].layout(self)
        self.shard_directory = ShardDirectory(self.directory, self._check)
        self.on_devices: dict[torch.device, tuple[Tensor, Tensor]] = {}  # the basis, as to_features() has copied it

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "on_devices": {}}

    def __repr__(self) -> str:
        return f"Track({str(self.directory)!r}, {self.encoding}, {list(self.shape)})"

    def _check_class_names(self) -> None:
        """Raises InputError if the track records its class names and the teacher's classes.json has others, or is missing."""
        recorded, path = self.known.get("class_names_sha256"), self.directory.parent / CLASSES
        if recorded is None:
            return
        if not os.path.lexists(path):
            raise InputError(f"{path}: is missing, and without it the classes of {self.directory.parent.name}/{self.name} are not "
                             "known; copy it from the cache that the logits come from, or run their extraction again, which writes it")
        if hashlib.sha256("".join(f"{name}\n" for name in _names(path)).encode()).hexdigest() != recorded:
            raise InputError(f"{path}: has other class names than {self.directory.parent.name}/{self.name} was made with; copy both "
                             "from the same cache")

    @functools.cached_property
    def class_names(self) -> list[str] | None:
        """Of logits: the names of their classes in their order, if the cache records them. None: not recorded, and then they
        are Cache.classes in their order (FORMAT.md); also of other kinds."""
        path = self.directory.parent / CLASSES
        return _names(path) if self.kind == "logits" and os.path.lexists(path) else None

    def _check(self, file: Container, number: int) -> None:
        pass_, shard, groups = self.plan.place(number)
        attributes = file.json("vitrine shard")
        self._expect_track(file.path, attributes.get("track"))
        file.expect(attributes, **{"pass": pass_, "shard": shard})
        if list(file.datasets)[:len(self.layout)] != [array.name for array in self.layout]:
            raise InputError(f"{file.path}: its datasets are not those of the encoding {self.encoding} in their order; copy or "
                             "make it again")
        for array in self.layout:
            if array.whole_group:
                file.expect_dataset(array.name, array.dtype, (groups, None), 1)
            else:
                rows = groups * self.plan.group
                file.expect_dataset(array.name, array.dtype, (rows, *array.view_shape), self.plan.group)

    def _expect_track(self, path: str | Path, copy: Any) -> None:
        """Checks that a shard's copy of track.json is this track's. Ignores unknown keys in both."""
        if not isinstance(copy, dict):
            raise CorruptError(f"{path}: has no copy of its track.json; the file is damaged, copy or make it again")
        check_json_version(copy, path)
        found = differences(_known(copy, path), self.known)
        words = ", ".join(f"track.{key} {recorded}, expected {expected}" for key, recorded, expected in found)
        if words:
            raise InputError(f"{path}: has {words}; the file belongs to another cache or place, copy or make it again")

    @functools.cached_property
    def basis(self) -> Basis:
        """The basis of a transform track."""
        return Basis(self.directory / "basis.h5", self.codec["basis"], self.shape)

    @property
    def passes(self) -> list[int]:
        """Passes with all shards present, ascending."""
        return self.shard_directory.passes(self.plan.shards_per_pass)

    def arrays(self, pass_: int, group: int) -> dict[str, np.ndarray]:
        """The stored arrays of a group, by name."""
        number, chunk = self.plan.find(pass_, group, self.directory)
        contents = self.shard_directory.open(number).read([array.name for array in self.layout], chunk)
        return from_bytes(self.layout, contents, self.plan.group)

    def read(self, pass_: int, group: int, out: np.ndarray | None = None) -> np.ndarray:
        """The targets of a group: float32 [group, shape...]. `out`: an array for them, which is returned; reused for one group
        after the other, it saves the making of large arrays."""
        values: np.ndarray = self.decode(self.arrays(pass_, group), pass_, group, out=self._room(out))
        return values

    def _room(self, out: np.ndarray | None) -> np.ndarray | None:
        """`out`, which must fit a group."""
        shape = (self.group, *self.shape)
        if out is not None and not (isinstance(out, np.ndarray) and out.shape == shape and out.dtype == np.float32 and
                                    out.flags.c_contiguous and out.flags.writeable):
            found = f"{out.dtype} {list(out.shape)}" if isinstance(out, np.ndarray) else type(out).__name__
            raise InputError(f"out = {found} is not allowed; expected a writeable array, float32 {list(shape)} in C order")
        return out

    def read_kept(self, pass_: int, group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The stored values of a topk track: values and classes [group, kept], the largest first, and the log-sum-exp
        of the other classes at each of codec["temperatures"]: [group, temperatures]."""
        if self.encoding != "topk":
            raise InputError(f"{self.directory}: is stored as {self.encoding}; only topk has kept values")
        kept: tuple[np.ndarray, np.ndarray, np.ndarray] = self.decode(self.arrays(pass_, group), pass_, group, TOPK.kept)
        return kept

    def read_coefficients(self, pass_: int, group: int, out: np.ndarray | None = None) -> np.ndarray:
        """Features of a transform track as coefficients over channels: float32 [group, C, H, W]. read() gives
        `basis.vectors.T` @ these over channels + `basis.mean`. For callers with a faster matrix product. `out`: as for read()."""
        if self.encoding != "transform":
            raise InputError(f"{self.directory}: is stored as {self.encoding}; only transform has coefficients")
        values: np.ndarray = self.decode(self.arrays(pass_, group), pass_, group, TRANSFORM.coefficients, self._room(out))
        return values

    def to_features(self, coefficients: Tensor) -> Tensor:
        """The features of read_coefficients()'s values, [N, C, H, W], as a torch tensor on the device of the coefficients.
        The basis is copied there once. As read(), except for rounding."""
        if self.encoding != "transform":
            raise InputError(f"{self.directory}: is stored as {self.encoding}; only transform has coefficients")
        from .features import to_features
        return to_features(self, coefficients)

    def decode(self, arrays: dict[str, np.ndarray], pass_: int, group: int, decode: Callable[..., Any] | None = None,
               out: np.ndarray | None = None) -> Any:
        """arrays() to values; `pass_` and `group` are for error messages."""
        try:
            way = decode or ENCODINGS[self.encoding].decode
            return way(self, arrays) if out is None else way(self, arrays, out)
        except (ValueError, IndexError) as problem:
            raise CorruptError(
                f"{self.directory}: pass {pass_}, group {group}: {problem}; the file is damaged, copy or make "
                "it again") from None

    def read_with_h5py(self, pass_: int, group: int) -> np.ndarray:
        """The same through HDF5: slow, without the table and its checksums. Needs h5py and hdf5plugin."""
        import h5py  # type: ignore[import-untyped]
        import hdf5plugin  # noqa: F401  registers the Zstandard filter
        number, chunk = self.plan.find(pass_, group, self.directory)
        views = self.plan.group
        with h5py.File(self.shard_directory.path(number), "r") as file:
            arrays = {array.name: file[array.name][chunk] if array.whole_group else
                      file[array.name][chunk * views:(chunk + 1) * views] for array in self.layout}
        values: np.ndarray = self.decode(arrays, pass_, group)
        return values

"""A cache directory: its index, plan, recipes and tracks. Never writes or locks. Objects can be pickled and used in
several processes; each process reads what it needs."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .container import Container
from .errors import CacheError, CorruptError, InputError, require_directory, system_error
from .index import Index
from .plan import Plan
from .recipes import CUT_MIX, LEFT_OUT, NO_MIX, RECIPE, letterboxed
from .shards import ShardDirectory, is_kind
from .track import CLASSES, Track

SET_ASIDE = re.compile(r".*\.damaged(\.[0-9]+)?")  # directories set aside by a repair


class Problem(NamedTuple):
    """A part of a cache that cannot be used."""
    path: str          # relative to the cache: "TEACHER.xxxxxxxx/NAME" of a track, else of a file
    error: CacheError  # its message begins with the file


class Cache:
    """A cache directory. Files added later are not seen. `tracks`: the usable tracks; `problems`: the unusable parts (a
    list of Problem), which raise only when used; both ascending by directory."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        require_directory(self.directory, "a cache, as vitrine-extract makes it")
        if not os.path.lexists(self.directory / "index.h5"):
            near = [path for path in (self.directory.resolve().parent, *self._listed(self.directory))
                    if os.path.lexists(path / "index.h5")]
            raise InputError(f"{directory}: is not a cache (it has no index.h5); expected one, as vitrine-extract makes it" +
                             (f", such as {near[0]}" if near else ""))
        self.index = Index(self.directory / "index.h5")
        self.plan = Plan(self.directory / "plan.json", self.index)
        self.recipe_files = ShardDirectory(self.directory / "recipes", self._check_recipes)
        self.tracks: list[Track] = []
        self.problems: list[Problem] = self._strange_files(self.recipe_files)
        for teacher in self._folders(self.directory):
            for directory in self._folders(teacher):
                try:
                    self._add_track(directory)
                except CacheError as error:
                    self.problems.append(Problem(self._below(directory), error))
        self.problems.sort(key=lambda problem: problem.path)

    @property
    def ids(self) -> list[str]:
        """Paths of the images below the dataset's root."""
        return self.index.ids

    @property
    def labels(self) -> np.ndarray:
        """int64, positions in `classes`, one per image; -1: none."""
        return self.index.labels

    @property
    def classes(self) -> list[str]:
        """Names."""
        return self.index.classes

    def __repr__(self) -> str:
        return f"Cache({str(self.directory)!r}, {len(self.index)} images, {len(self.tracks)} tracks)"

    def _below(self, path: str | Path) -> str:
        return Path(path).relative_to(self.directory).as_posix()

    def _strange_files(self, shard_directory: ShardDirectory) -> list[Problem]:
        return [Problem(self._below(shard_directory.path(number)), error) for number, error in shard_directory.strange.items()]

    @staticmethod
    def _listed(directory: Path) -> list[Path]:
        return [Path(entry.path) for entry in sorted(os.scandir(directory), key=lambda entry: entry.name)
                if is_kind(entry, "is_dir") and not SET_ASIDE.fullmatch(entry.name)]

    def _folders(self, directory: Path) -> list[Path]:
        """Subdirectories, ascending. A directory that cannot be listed is a problem, and gives none."""
        try:
            return self._listed(directory)
        except OSError as problem:
            error = system_error(problem, directory, "cannot be listed", "make it readable")
            if directory == self.directory:
                raise error from None
            self.problems.append(Problem(self._below(directory), error))
            return []

    def _add_track(self, directory: Path) -> None:
        path = directory / "track.json"
        if not os.path.lexists(path):
            if ShardDirectory(directory, None).numbers:
                raise InputError(f"{path}: is missing, but there are shards; rebuild it with vitrine-cache repair")
            return
        track = Track(directory, self.plan)
        self.tracks.append(track)
        self.problems += self._strange_files(track.shard_directory)

    def _check_recipes(self, file: Container, number: int) -> None:
        pass_, shard, groups = self.plan.place(number)
        file.expect(file.json("vitrine recipes"), **{"plan": self.plan.hash, "pass": pass_, "shard": shard})
        file.expect_dataset("recipe", "|V40", (groups * self.plan.group,), self.plan.group)
        file.expect_dataset("picture_hash", "<u8", (groups,), groups)

    @property
    def recipe_passes(self) -> list[int]:
        """Passes whose recipes are complete, ascending."""
        return self.recipe_files.passes(self.plan.shards_per_pass)

    def recipes(self, pass_: int, group: int) -> np.ndarray:
        """The views of a group: a structured array [group], fields as in FORMAT.md (RECIPE), each checked."""
        return self.recipes_and_hash(pass_, group)[0]

    def recipes_and_hash(self, pass_: int, group: int) -> tuple[np.ndarray, int]:
        """recipes() and picture_hash(), with the file opened once."""
        number, chunk = self.plan.find(pass_, group, self.directory)
        file = self.recipe_files.open(number)
        content, hashes = file.read_chunks([("recipe", chunk), ("picture_hash", 0)])
        recipes = np.frombuffer(content, RECIPE)
        self._check(recipes, f"{file.path}: group {chunk}")
        return recipes, int(np.frombuffer(hashes, "<u8")[chunk])

    def _check(self, r: np.ndarray, where: str) -> None:
        if (r["image"] >= len(self.index)).any():
            raise InputError(
                f"{where}: names image {r['image'].max()} of {len(self.index)}; copy or make the file again")
        top, left, height, width = (r[key].astype(np.int64) for key in ("top", "left", "height", "width"))
        image, size = r["image"], self.plan.image_size
        wrong = (r["label"] != self.index.label[image]) | (top < 0) | (left < 0) | (height < 1) | (width < 1)
        wrong |= (top + height > self.index.height[image]) | (left + width > self.index.width[image])
        wrong |= (r["reserved"] & ~np.uint16(LEFT_OUT)) != 0
        wrong |= (r["flip"] > 1) | (r["mix"] > CUT_MIX) | (r["partner"] >= self.plan.group)
        outside = (r["box_top"] >= r["box_bottom"]) | (r["box_left"] >= r["box_right"])
        outside |= (r["box_bottom"] > size) | (r["box_right"] > size)
        boxed = (r["mix"] == CUT_MIX) | letterboxed(r)
        if self.plan.letterbox:
            wrong |= r["mix"] != NO_MIX
            boxed[:] = True
        if (wrong | (boxed & outside)).any():
            raise InputError(
                f"{where}: a recipe does not fit its image; the file belongs to another cache, copy or make it "
                "again")

    def picture_hash(self, pass_: int, group: int) -> int:
        """XXH3-64 of one rendered view of the group, at hashed_view()."""
        return self.recipes_and_hash(pass_, group)[1]

    def track(self, name: str, teacher: str | None = None) -> Track:
        """Finds a track by name ("logits", "features.11") and teacher ("NAME" or "NAME.xxxxxxxx"), or as
        "TEACHER/NAME". The result does not depend on which tracks are readable: if the match is a bad track, raises its
        error."""
        if not isinstance(name, str):
            raise InputError(f"{self.directory}: a track's name {name!r} is not allowed; expected text, such as \"logits\"")
        if "/" in name and teacher is None:
            teacher, _, name = name.partition("/")
        bad = {path: error for path, error in self.problems if not path.endswith(".h5")}
        there: list[tuple[str, Track | CacheError]] = [(self._below(track.directory), track) for track in self.tracks]
        there += bad.items()
        fits = [found for path, found in there if (at := Path(path)).name == name and len(at.parts) == 2 and
                teacher in (None, at.parts[0], at.parts[0].rpartition(".")[0])]
        if len(fits) != 1:
            words = ", ".join(path + (" (not readable)" if path in bad else "") for path, _ in there)
            raise InputError(f"{self.directory}: has {'several tracks' if fits else 'no track'} of the name {name}"
                             f"{' from teacher ' + teacher if teacher else ''}; it has {words or 'none at all'}")
        if isinstance(fits[0], CacheError):
            raise fits[0].with_traceback(None)
        return fits[0]

    def class_columns(self, name: str = "logits", teacher: str | None = None) -> list[int]:
        """For logits: which of their columns are of `classes`, in that order, by the names that the cache records
        (Track.class_names); without names all columns, which are of `classes` in their order."""
        track = self.track(name, teacher)
        if track.kind != "logits":
            raise InputError(f"{track.directory}: has {track.kind}, which has no classes; expected a track of logits")
        names = track.class_names
        if names is None and track.shape[0] != len(self.classes):
            raise InputError(f"{track.directory}: has {track.shape[0]} classes and records no names, the images have "
                             f"{len(self.classes)}; choose its columns yourself")
        if names is None:
            return list(range(len(self.classes)))
        if len(names) != track.shape[0]:
            raise CorruptError(f"{track.directory.parent / CLASSES}: names {len(names)} classes, but the logits have "
                               f"{track.shape[0]}; the file is damaged, copy or make it again")
        for word in self.classes:
            if names.count(word) != 1:
                raise InputError(f"{track.directory.parent / CLASSES}: names {names.count(word)} classes {word}, expected one for "
                                 "each class folder; choose the columns yourself")
        return [names.index(word) for word in self.classes]

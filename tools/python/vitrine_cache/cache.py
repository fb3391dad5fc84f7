"""A cache directory: its index, plan, recipes and tracks. Never writes or locks. Objects can be pickled and used in
several processes; each process reads what it needs."""
from __future__ import annotations

import collections
import functools
import hashlib
import json
import operator
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest as xxh3

from .container import MAJOR, Container, check_json_version, parse_json
from .errors import CacheError, CorruptError, InputError, NewerFormatError, require_directory, system_error
from .encodings import ENCODINGS, TOPK, TRANSFORM, Newer, from_bytes, is_number, is_whole
from .track_settings import differences, known
from .transform import Basis

if TYPE_CHECKING:
    import torch
    from torch import Tensor

RECIPE = np.dtype([("image", "<u4"), ("label", "<u4"), ("top", "<i4"), ("left", "<i4"), ("height", "<i4"),
                   ("width", "<i4"), ("flip", "u1"), ("mix", "u1"), ("partner", "<u2"), ("lambda", "<u2"),
                   ("box_top", "<u2"), ("box_left", "<u2"), ("box_bottom", "<u2"), ("box_right", "<u2"),
                   ("reserved", "<u2")])
NO_MIX, MIX_UP, CUT_MIX = 0, 1, 2
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of colours in 0..1
NO_LABEL = 2**32 - 1  # in files; -1 in Cache.labels
LEFT_OUT = 1  # a bit of a recipe's "reserved"
UNLABELLED = ".unlabelled/"  # prefix of the paths of images in the additional unlabelled folder
SHARD_NAME = re.compile(r"([0-9]{5}|[1-9][0-9]{5,9})\.h5")
SET_ASIDE = re.compile(r".*\.damaged(\.[0-9]+)?")  # files set aside by a repair


def own_share(recipes: np.ndarray) -> np.ndarray:
    """The share of each view's own label, float32 in [0, 1]; the rest is its partner's."""
    return np.where(recipes["mix"] == NO_MIX, np.float32(1), recipes["lambda"].astype(np.float32) / np.float32(65536))


def left_out(recipes: np.ndarray) -> np.ndarray:
    """Views left out, with no pixels, no label and blank targets, as their pictures could not be read. bool [group]."""
    return (recipes["reserved"] & LEFT_OUT) != 0


def hashed_view(recipes: np.ndarray, group: int) -> int | None:
    """The position of the view whose hash is stored: group % views, or the next one that is not left out; None: no view."""
    kept = np.flatnonzero(~left_out(np.roll(recipes, -(group % len(recipes)))))
    return (group + int(kept[0])) % len(recipes) if len(kept) else None


CHECK = re.compile(rb',\n  "check": "([0-9a-f]{16})"\n}\n\Z')  # XXH3-64 of the text without this key


def has_right_check(text: bytes) -> bool:
    found = CHECK.search(text)
    return found is not None and int(found[1], 16) == xxh3(text[:found.start()] + b"\n}\n")


def require_check(version: Any, text: bytes, path: str | Path) -> None:
    """Raises CorruptError unless the check is right, or the version is another one, which may not have this check. If
    the check is right with this version's number, only the number was changed."""
    own = re.sub(rb'(\n  "version": )[^,\n]*', rb"\g<1>%d" % MAJOR, text, count=1)
    if not has_right_check(text) and (version == MAJOR or has_right_check(own)):
        raise CorruptError(f"{path}: its check is missing or wrong; the file is damaged or was edited, copy or make it again")


def read_json(path: str | Path, kind: str, checked: bool = False) -> tuple[dict[str, Any], bytes]:
    """The object and the text of a JSON file of this format; `checked`: its last key is a check of the text."""
    try:
        text = Path(path).read_bytes()
    except OSError as problem:
        raise system_error(problem, path, "cannot be read", "copy or make it again") from None
    try:
        found = parse_json(text)
    except ValueError as problem:
        raise CorruptError(f"{path}: cannot be read ({problem}); copy or make it again") from None
    if not isinstance(found, dict) or found.get("format") != kind:
        raise CorruptError(f"{path}: is not a file of the kind \"{kind}\"; copy or make it again")
    if checked:
        require_check(found.get("version"), text, path)
    check_json_version(found, path)
    return found, text


class Index:
    """The images: `classes` (names), arrays `label` (NO_LABEL: none), `height`, `width`, `file_bytes`, `hash`; `ids` (paths);
    how they are decoded: `apply_orientation`, `scale_grey16`."""
    label: np.ndarray
    height: np.ndarray
    width: np.ndarray
    file_bytes: np.ndarray
    hash: np.ndarray
    id_offset: np.ndarray

    def __init__(self, path: str | Path) -> None:
        file = Container(path)
        attributes = file.json("vitrine index")
        self.name = attributes.get("hash")
        classes = attributes.get("classes")
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise CorruptError(f"{path}: has no list of classes; make the index again")
        self.classes: list[str] = classes
        self.apply_orientation, self.scale_grey16 = self._decoding(attributes.get("decoding", {}), path)
        images = file.find("height").shape[0]
        columns = {"height": "<u4", "width": "<u4", "label": "<u4", "file_bytes": "<u8", "hash": "<u8",
                   "id_offset": "<u8"}
        for name, dtype in columns.items():
            rows = images + (name == "id_offset")
            if (found := file.find(name)).dtype != dtype or found.shape != (rows,):
                raise CorruptError(
                    f"{path}: dataset {name} has an unexpected type or shape; make the index "
                    "again")
            setattr(self, name, file.read_all(name))
        self.id_bytes = file.read_all("id_bytes").tobytes()
        outside = (self.id_offset[1:] < self.id_offset[:-1]) | (self.id_offset[1:] > len(self.id_bytes))
        if outside.any():
            raise CorruptError(f"{path}: the name of image {outside.argmax()} is outside the list of names; make the "
                             "index again")
        self._check_names(path)
        if ((self.label >= len(self.classes)) & (self.label != NO_LABEL)).any():
            raise CorruptError(f"{path}: has a label beyond its classes; make the index again")
        sides = np.stack([self.height, self.width])
        if (sides == 0).any() or (sides >= 2**31).any():
            raise CorruptError(f"{path}: has an image of 0 or more than 2^31 - 1 pixels on a side; make the index again")

    @staticmethod
    def _decoding(choices: Any, path: str | Path) -> tuple[bool, bool]:
        """Whether pictures are rotated by their EXIF orientation, and whether 16-bit grey is scaled. Decoding settings
        change the meaning of all pixels, so unknown ones must not be ignored."""
        if not isinstance(choices, dict):
            raise CorruptError(f"{path}: decoding is not an object; make the index again")
        for key, value in choices.items():
            if (key, value) not in (("exif_orientation", "apply"), ("grey16", "scale")):
                raise NewerFormatError(f"{path}: decoding.{key} = {json.dumps(value)} is a setting that this program does not "
                                       "know; use a newer vitrine")
        return "exif_orientation" in choices, "grey16" in choices

    def _check_names(self, path: str | Path) -> None:
        """Checks all names at once: together they are UTF-8, and none begins inside a character."""
        starts = self.id_offset[:-1][self.id_offset[:-1] < self.id_offset[1:]]
        inside = (np.frombuffer(self.id_bytes, np.uint8)[starts] & 0xC0) == 0x80
        try:
            self.id_bytes[int(self.id_offset[0]):int(self.id_offset[-1])].decode()
        except UnicodeDecodeError as problem:
            at = int(self.id_offset[0]) + problem.start
        else:
            if not inside.any():
                return
            at = int(starts[inside.argmax()]) - 1  # the preceding name is cut off
        image = int(np.searchsorted(self.id_offset, at, "right")) - 1
        raise CorruptError(f"{path}: the name of image {image} is not UTF-8; make the index again")

    def __len__(self) -> int:
        return len(self.label)

    def id(self, image: int) -> str:
        """Path relative to the dataset's root, with '/', or UNLABELLED plus the path in the unlabelled folder."""
        return self.id_bytes[int(self.id_offset[image]):int(self.id_offset[image + 1])].decode()

    @functools.cached_property
    def ids(self) -> list[str]:
        """All ids, a list created on first use."""
        return [self.id(image) for image in range(len(self))]

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """int64, -1: none."""
        labels = self.label.astype(np.int64)
        labels[labels == NO_LABEL] = -1
        return labels

    @functools.cached_property
    def unlabelled(self) -> bool:
        """Whether there are images from the additional unlabelled folder."""
        data, prefix = np.frombuffer(self.id_bytes, np.uint8), UNLABELLED.encode()
        starts, ends = self.id_offset[:-1], self.id_offset[1:]
        starts = starts[ends - starts >= len(prefix)]
        return any(self.id_bytes.startswith(prefix, start) for start in starts[data[starts] == prefix[0]].tolist())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("ids", "labels")}


class Problem(NamedTuple):
    """A part of a cache that cannot be used."""
    path: str          # relative to the cache: "TEACHER.xxxxxxxx/NAME" of a track, else of a file
    error: CacheError  # its message begins with the file


def _is(entry: os.DirEntry[str], kind: str) -> bool:
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
            if _is(entry, "is_file"):
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


SHARE, ALPHA, RATIO = (is_number, 0, 1), (is_number, 0, 1000), (is_number, 0.01, 100)
SETTINGS: dict[str, tuple[Callable[[Any], bool], float, float]] = {"seed": (is_whole, 0, 2**63 - 1), "group": (is_whole, 2, 65536), "shard_groups": (is_whole, 1, 65536),
            "image_size": (is_whole, 1, 65535), "min_area": SHARE, "max_area": SHARE, "min_ratio": RATIO,
            "max_ratio": RATIO, "flip": SHARE, "mix_probability": SHARE, "switch_probability": SHARE,
            "mixup_alpha": ALPHA, "cutmix_alpha": ALPHA}
LEAST_ALPHA = 0.05


def check_plan_settings(settings: Any) -> None:
    """Raises ValueError unless these are a plan's settings, each in its range."""
    if not isinstance(settings, dict):
        raise ValueError("has no settings; the file is damaged or no plan.json")
    for key, (kind, low, high) in SETTINGS.items():
        if key not in settings:
            raise ValueError(f"settings.{key} is missing; the file is damaged or no plan.json")
        if not kind(settings[key]):
            raise ValueError(f"settings.{key} = {settings[key]!r} is not allowed; expected "
                             f"{'an integer' if kind is is_whole else 'a number'}")
        if not low <= settings[key] <= high:
            raise ValueError(f"{key} = {settings[key]!r} is not allowed; expected a number from {low} to {high}")
    for key in settings:
        if key not in SETTINGS:
            raise ValueError(f"unknown setting {key}; the plan was made by another version of vitrine")
    s = settings
    if s["group"] % 2:
        raise ValueError(f"group = {s['group']} is not allowed; expected an even number, so that each view has a partner")
    if s["min_area"] > s["max_area"] or s["max_area"] == 0 or s["min_ratio"] > s["max_ratio"]:
        raise ValueError("a least area or ratio above the largest, or no area, is not allowed")
    if any(0 < s[key] < LEAST_ALPHA for key in ("mixup_alpha", "cutmix_alpha")):
        raise ValueError(f"an alpha below {LEAST_ALPHA} that is not 0 is not allowed")
    if s["mix_probability"] > 0 and s["mixup_alpha"] == 0 and s["cutmix_alpha"] == 0:
        raise ValueError(f"mix_probability = {s['mix_probability']} needs mixup_alpha or cutmix_alpha above 0")


class Plan:
    """The settings that determine every view: `settings` as in plan.json, `hash`, and the layout of a pass."""

    def __init__(self, path: str | Path, index: Index) -> None:
        about, text = read_json(path, "vitrine plan")
        if about.get("index") != index.name or about.get("images") != len(index) or \
                about.get("classes") != len(index.classes):
            raise InputError(
                f"{path}: does not belong to the index.h5 beside it, or was edited; copy both from the cache "
                "again")
        self.hash = hashlib.sha256(text).hexdigest()
        settings: Any = about.get("settings")
        try:
            check_plan_settings(settings)
        except ValueError as problem:
            raise CorruptError(f"{path}: {problem}; copy it again") from None
        self.settings: dict[str, Any] = settings
        self.group: int = self.settings["group"]
        self.shard_groups: int = self.settings["shard_groups"]
        self.image_size: int = self.settings["image_size"]
        self.groups_per_pass = -(-len(index) // self.group)
        self.shards_per_pass = -(-self.groups_per_pass // self.shard_groups)

    def __repr__(self) -> str:
        return f"Plan({self.hash[:8]}, {self.groups_per_pass} groups of {self.group} views per pass)"

    def place(self, number: int) -> tuple[int, int, int]:
        """Pass, shard within the pass and groups of file `number`."""
        pass_, shard = divmod(number, self.shards_per_pass)
        return pass_, shard, min(self.shard_groups, self.groups_per_pass - shard * self.shard_groups)

    def find(self, pass_: int, group: int, where: str | Path) -> tuple[int, int]:
        """The number of a group's file, and the group's number in it. Accepts any integers: numpy's, tensors."""
        pass_, group = operator.index(pass_), operator.index(group)
        if pass_ < 0:
            raise InputError(f"{where}: pass {pass_} does not exist; passes are counted from 0")
        if not 0 <= group < self.groups_per_pass:
            raise InputError(f"{where}: group {group} does not exist; a pass has {self.groups_per_pass}")
        return pass_ * self.shards_per_pass + group // self.shard_groups, group % self.shard_groups


def _known(settings: Any, path: str | Path) -> dict[str, Any]:
    """known() for a track's object in the file at `path`."""
    try:
        return known(settings)
    except Newer as problem:
        raise NewerFormatError(f"{path}: {problem}") from None
    except ValueError as problem:
        raise CorruptError(f"{path}: {problem}") from None


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
        self.group, self.layout = plan.group, ENCODINGS[self.encoding].layout(self)
        self.shard_directory = ShardDirectory(self.directory, self._check)
        self.on_devices: dict[torch.device, tuple[Tensor, Tensor]] = {}  # the basis, as to_features() has copied it

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "on_devices": {}}

    def __repr__(self) -> str:
        return f"Track({str(self.directory)!r}, {self.encoding}, {list(self.shape)})"

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

    def read(self, pass_: int, group: int) -> np.ndarray:
        """The targets of a group: float32 [group, shape...]."""
        values: np.ndarray = self.decode(self.arrays(pass_, group), pass_, group)
        return values

    def read_kept(self, pass_: int, group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The stored values of a topk track: values and classes [group, kept], the largest first, and the log-sum-exp
        of the other classes at each of codec["temperatures"]: [group, temperatures]."""
        if self.encoding != "topk":
            raise InputError(f"{self.directory}: is stored as {self.encoding}; only topk has kept values")
        kept: tuple[np.ndarray, np.ndarray, np.ndarray] = self.decode(self.arrays(pass_, group), pass_, group, TOPK.kept)
        return kept

    def read_coefficients(self, pass_: int, group: int) -> np.ndarray:
        """Features of a transform track as coefficients over channels: float32 [group, C, H, W]. read() gives
        `basis.vectors.T` @ these over channels + `basis.mean`. For callers with a faster matrix product."""
        if self.encoding != "transform":
            raise InputError(f"{self.directory}: is stored as {self.encoding}; only transform has coefficients")
        values: np.ndarray = self.decode(self.arrays(pass_, group), pass_, group, TRANSFORM.coefficients)
        return values

    def to_features(self, coefficients: Tensor) -> Tensor:
        """The features of read_coefficients()'s values, [N, C, H, W], as a torch tensor on the device of the coefficients.
        The basis is copied there once. As read(), except for rounding."""
        if self.encoding != "transform":
            raise InputError(f"{self.directory}: is stored as {self.encoding}; only transform has coefficients")
        from .features import to_features
        return to_features(self, coefficients)

    def decode(self, arrays: dict[str, np.ndarray], pass_: int, group: int, decode: Callable[..., Any] | None = None) -> Any:
        """arrays() to values; `pass_` and `group` are for error messages."""
        try:
            return (decode or ENCODINGS[self.encoding].decode)(self, arrays)
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
                if _is(entry, "is_dir") and not SET_ASIDE.fullmatch(entry.name)]

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
        if (wrong | ((r["mix"] == CUT_MIX) & outside)).any():
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
        there: list[tuple[str, Track | CacheError]] = [*((self._below(track.directory), track) for track in self.tracks), *bad.items()]
        fits = [found for path, found in there if (at := Path(path)).name == name and len(at.parts) == 2 and
                teacher in (None, at.parts[0], at.parts[0].rpartition(".")[0])]
        if len(fits) != 1:
            words = ", ".join(path + (" (not readable)" if path in bad else "") for path, _ in there)
            raise InputError(f"{self.directory}: has {'several tracks' if fits else 'no track'} of the name {name}"
                             f"{' from teacher ' + teacher if teacher else ''}; it has {words or 'none at all'}")
        if isinstance(fits[0], CacheError):
            raise fits[0].with_traceback(None)
        return fits[0]

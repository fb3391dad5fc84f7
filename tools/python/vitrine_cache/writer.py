"""Writes the targets of any model as a track of a cache: the format, the checks and the provenance of vitrine-extract."""
from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from xxhash import xxh3_64_intdigest as xxh3

from .cache import Cache
from .colours import IMAGENET_MEAN, IMAGENET_STD
from .container import MAJOR, parse_json
from .container_writer import FileRecord, NewDataset, compress, hdf5, publish, write_container, written_by
from .encoders import encode, measure, summarise
from .encodings import ENCODINGS, Arrays, Newer, is_hash
from .errors import CacheError, InputError, system_error
from .json_files import read_json
from .native import Calibrator
from .provenance import made_with
from .recipes import left_out
from .shards import SHARD_NAME
from .track import Track
from .track_settings import differences, known

if TYPE_CHECKING:
    from torch import Tensor

DEFAULTS = {"logits": "uniform", "embedding": "fp16", "features": "transform", "attention": "sqrt8"}  # encodings
WITH_FLAG = ("uniform", "topk", "transform")  # whose files need a reader that knows whole-group arrays and 16-bit integers
BASIS_LEVEL = 9  # of zstd


class Writer:
    """Adds one track to a cache that has an index, a plan and recipes (vitrine-extract CONFIG --recipes makes one without a
    teacher). Use it in a with statement:

        views = Views("images", Cache("cache"))
        with Writer("cache", "logits", [1000], teacher="my_model", weights="my_model.pth") as writer:
            for pass_, group in writer.missing():
                images = torch.from_numpy(views.read(pass_, group)).permute(0, 3, 1, 2)    # uint8 [group, 3, size, size]
                writer.put(pass_, group, model(normalised(images)))

    track           "logits", "embedding", "features.BLOCK" or "attention.BLOCK"
    shape           of one view: [K], [D], [C, H, W] or [heads, H, W]
    encoding        by default uniform for logits, fp16 for the embedding, transform for features and sqrt8 for attention
    max_error       uniform and topk: the largest error of a value, by default 1/64 (topk: 0, fp16); transform: share of a group's
                    energy, by default 0.01
    kept, temperatures  topk: logits kept per view, and the temperatures at which a student may learn
    teacher, weights    its name, and its weight file or the file's SHA-256; both name the directory, and a student compares them
    mean, std       the model's input is (value / 255 - mean) / std; by default ImageNet's
    heads, heads_mean, rollout  attention: the heads stored, whether only their mean, or the rollout over all heads and blocks
    architecture    anything that rebuilds the model, for your own use: an object with texts and numbers
    passes          by default all that have recipes
    device, precision, micro_batch  how the model runs: they are recorded, as the last digits depend on them
    calibration_views  transform: missing() first gives as many views once more, from which put() computes the basis

    A file is written when all groups of its shard are there. A writer that was stopped is made again with the same arguments, and
    missing() gives what is left. One process writes a track. Errors are CacheErrors."""

    def __init__(self, cache: Cache | str | os.PathLike[str], track: str, shape: Sequence[int], encoding: str | None = None, *,
                 teacher: str, weights: str | os.PathLike[str], max_error: float | None = None, kept: int | None = None,
                 temperatures: Sequence[float] = (1.0, 4.0), mean: Sequence[float] = IMAGENET_MEAN,
                 std: Sequence[float] = IMAGENET_STD, crop_pct: float = 1.0, license: str = "", normalised: bool = False,
                 heads: Sequence[int] = (), heads_mean: bool = False, rollout: bool = False, architecture: dict[str, Any] | None = None,
                 passes: Sequence[int] | None = None, device: str = "cpu", precision: str = "fp32",
                 micro_batch: int | None = None, calibration_views: int = 1024, level: int = 1) -> None:
        hdf5()
        self.cache = cache if isinstance(cache, Cache) else Cache(cache)
        kind, block = self._parse(track)
        encoding = encoding or DEFAULTS[kind]
        sha = self._sha256(weights)
        self.directory = self.cache.directory / f"{teacher}.{sha[:8]}" / track
        self.passes = self._passes(passes)
        if encoding not in ENCODINGS:
            raise InputError(f"encoding = {encoding!r} is not allowed; expected one of {', '.join(ENCODINGS)}")
        classes = hashlib.sha256("".join(name + "\n" for name in self.cache.classes).encode()).hexdigest()
        self._settings: dict[str, Any] = {
            "format": "vitrine track", "version": MAJOR,
            "teacher": {"name": teacher, "weights_sha256": sha, "architecture": {"family": "pytorch", **(architecture or {})},
                        "mean": [float(x) for x in mean], "std": [float(x) for x in std], "crop_pct": float(crop_pct),
                        "interpolation": "bicubic", "class_list_sha256": classes, **({"license": license} if license else {})},
            "kind": kind, "block": block, "normalised": normalised,
            **({"heads": {"kept": [int(head) for head in heads], "mean": heads_mean or rollout, **({"rollout": True} if rollout else {})}} if kind == "attention" else {}),
            "shape": [int(axis) for axis in shape], "encoding": encoding,
            **({"codec": codec} if (codec := _codec(kind, encoding, max_error, kept, temperatures)) else {}),
            "level": level, "plan": self.cache.plan.hash,
            "made_with": made_with(device, precision, micro_batch or self.cache.plan.group)}
        self._calibrator: Calibrator | None = None
        self._calibration_groups = min(self.cache.plan.groups_per_pass, -(-calibration_views // self.cache.plan.group))
        self._track: Track | None = None
        self._drafts: dict[int, dict[int, tuple[Arrays, dict[str, float]]]] = {}  # by shard and group in it
        self._made: list[FileRecord] = []
        self._begin()

    @staticmethod
    def _parse(track: str) -> tuple[str, int]:
        match = re.fullmatch(r"(logits|embedding)|(features|attention)\.(0|[1-9][0-9]{0,3})", track)
        if not match:
            raise InputError(f"track = {track!r} is not allowed; expected logits, embedding, features.BLOCK or attention.BLOCK")
        return (match[1], -1) if match[1] else (match[2], int(match[3]))

    @staticmethod
    def _sha256(weights: str | os.PathLike[str]) -> str:
        if is_hash(weights):
            return str(weights)
        try:
            with open(weights, "rb") as file:
                sha = hashlib.sha256()
                while part := file.read(1 << 20):
                    sha.update(part)
        except OSError as problem:
            raise system_error(problem, weights, "cannot be read", "give the model's weight file, or its SHA-256") from None
        return sha.hexdigest()

    def _passes(self, passes: Sequence[int] | None) -> list[int]:
        there = self.cache.recipe_passes
        wanted = there if passes is None else sorted(set(passes))
        for number in wanted:
            if number not in there:
                raise InputError(f"{self.cache.directory}: pass {number} of recipes is not complete; there are {there}")
        if not wanted:
            raise InputError(f"{self.cache.directory}: has no recipes of a whole pass; make them with vitrine-extract CONFIG --recipes")
        return wanted

    def _begin(self) -> None:
        """Opens or creates the track; one in the transform encoding is created when its basis is known."""
        transform = self._settings["encoding"] == "transform"
        exists = (self.directory / "track.json").exists()
        if transform and exists:
            self._settings["codec"]["basis"] = read_json(self.directory / "track.json", "vitrine track", checked=True)[0].get(
                "codec", {}).get("basis", "")
        if transform and not exists:
            self._check({**self._settings, "codec": {**self._settings["codec"], "basis": "0" * 64}})
            self._calibrator = Calibrator(tuple(self._settings["shape"]))
            self._try_to_write()
        else:
            self._create()

    def _try_to_write(self) -> None:
        """Finds out before the calibration whether the track can be written after it. Leaves nothing."""
        made = [each for each in (self.directory.parent, self.directory) if not each.exists()]
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                pass
            for each in reversed(made):
                each.rmdir()
        except OSError as problem:
            raise self._not_written(problem, self.directory) from None

    @staticmethod
    def _not_written(problem: OSError, path: Path) -> CacheError:
        return system_error(problem, path, "cannot be written", "check the directory and its free space")

    def _check(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What the readers accept, of track.json and of the copy in each shard."""
        try:
            parsed = parse_json(json.dumps({"track": settings}, allow_nan=False, ensure_ascii=False).encode())
        except (ValueError, TypeError, RecursionError) as problem:
            raise InputError(f"{self.directory}: track.json cannot be made of these arguments ({problem}); check architecture, which is an "
                             "object with texts and numbers") from None
        try:
            self._check_heads(settings)
            return known(parsed["track"])
        except (ValueError, Newer) as problem:
            raise InputError(f"{self.directory}: {problem}") from None

    @staticmethod
    def _check_heads(settings: dict[str, Any]) -> None:
        about, maps = settings.get("heads", {"kept": [], "mean": False}), settings["shape"][0] if settings["shape"] else 0
        kept = about["kept"]
        if len(set(kept)) < len(kept):
            raise ValueError(f"heads = {kept} names a head twice; name each head once")
        if about["mean"] and maps != 1:
            raise ValueError(f"a shape of {maps} heads does not fit the mean over heads or the rollout; expected [1, H, W]")
        if kept and not about["mean"] and len(kept) != maps:
            raise ValueError(f"a shape of {maps} heads does not fit heads = {kept}; expected [{len(kept)}, H, W]")

    def _create(self) -> None:
        """Publishes track.json, or compares it with the one that is there."""
        path, own = self.directory / "track.json", self._check(self._settings)
        body = json.dumps(self._settings, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        text = f"{body[:-3]},\n  \"check\": \"{xxh3(body.encode()):016x}\"\n}}\n"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                publish(path, text.encode())
        except OSError as problem:
            raise self._not_written(problem, path) from None
        self._track = Track(self.directory, self.cache.plan)
        for key, recorded, given in differences(self._track.known, own):
            raise InputError(f"{path}: the track has {key} {recorded}, this writer {given}; give the same arguments, or another "
                             "name of the teacher")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    def missing(self) -> Iterator[tuple[int, int]]:
        """The (pass, group) that put() is to get, shard by shard; for a new transform track first those of the calibration."""
        if self._calibrator is not None:
            for group in range(self._calibration_groups):
                yield self.passes[0], group
            self._finish_calibration()
        assert self._track is not None
        plan = self.cache.plan
        there = self._track.shard_directory.there
        for pass_ in self.passes:
            for shard in range(plan.shards_per_pass):
                if pass_ * plan.shards_per_pass + shard in there:
                    continue
                first = shard * plan.shard_groups
                for group in range(first, min(first + plan.shard_groups, plan.groups_per_pass)):
                    yield pass_, group

    def put(self, pass_: int, group: int, values: np.ndarray | Tensor) -> None:
        """The model's targets for the views of a group, [group, shape...], in their order: any floating type and device."""
        number, place = self.cache.plan.find(pass_, group, self.directory)
        where = f"{self.directory}: pass {pass_}, group {group}"
        rows = _numbers(values)
        wanted = (self.cache.plan.group, *self._settings["shape"])
        if rows.shape != wanted:
            raise InputError(f"{where}: values of shape {list(rows.shape)} are not allowed; expected {list(wanted)}")
        without = left_out(self.cache.recipes(pass_, group))
        if self._calibrator is not None:
            if not np.isfinite(rows[~without]).all():
                raise InputError(f"{where}: has a value that is not finite; check the model")
            self._calibrator.add(rows[~without])
            return
        assert self._track is not None
        track = self._track
        if number in track.shard_directory.there or number in {int(r.name[:-3]) for r in self._made}:
            raise InputError(f"{where}: its shard is written, and files never change; put what missing() gives")
        if without.any():
            rows = rows.copy()
            rows[without] = track.basis.mean if track.encoding == "transform" else 0
        try:
            arrays = encode(track, rows)
        except ValueError as problem:
            raise InputError(f"{where}: {problem}") from None
        draft = self._drafts.setdefault(number, {})
        draft[place] = arrays, measure(track, rows, track.decode(arrays, pass_, group))
        if len(draft) == self.cache.plan.place(number)[2]:
            self._publish(number, self._drafts.pop(number))

    def _finish_calibration(self) -> None:
        calibrator, self._calibrator = self._calibrator, None
        assert calibrator is not None
        if calibrator.views == 0:
            raise InputError(f"{self.directory}: there are no views to calibrate with; put() the groups that missing() gives")
        arrays = calibrator.finish(self._settings["codec"]["max_error"], self.cache.plan.group)
        sizes = np.array(self._settings["shape"], "<u4").tobytes() + calibrator.views.to_bytes(8, "little")
        name = hashlib.sha256(sizes + b"".join(array.tobytes() for array in arrays.values())).hexdigest()
        channels, height, width = self._settings["shape"]
        about = {"format": "vitrine basis", "version": MAJOR, "hash": name, "channels": channels, "height": height, "width": width,
                 "views": calibrator.views, "spatial": "rows" in arrays, "written_by": written_by()}
        datasets = [NewDataset(key, array.dtype.str, array.shape, array.shape[0], [compress(array.tobytes(), BASIS_LEVEL)])
                    for key, array in arrays.items()]
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / "basis.h5").unlink(missing_ok=True)  # of a writer that was stopped before it wrote track.json
        except OSError as problem:
            raise self._not_written(problem, self.directory / "basis.h5") from None
        write_container(self.directory / "basis.h5", datasets, _compact(about), 1)
        self._settings["codec"]["basis"] = name
        self._create()

    def _publish(self, number: int, draft: dict[int, tuple[Arrays, dict[str, float]]]) -> None:
        track, plan = self._track, self.cache.plan
        assert track is not None
        pass_, shard, groups = plan.place(number)
        datasets = []
        for array in track.layout:
            rows = [draft[g][0][array.name] for g in range(groups)]
            longest = max(1, *(row.size for row in rows)) if array.whole_group else 0
            data = [np.pad(row, (0, longest - row.size)) if array.whole_group else row for row in rows]
            shape = (groups, longest) if array.whole_group else (groups * plan.group, *array.view_shape)
            datasets.append(NewDataset(array.name, array.dtype, shape, 1 if array.whole_group else plan.group,
                                       [compress(row.tobytes(), track.known["level"]) for row in data]))
        about = {"format": "vitrine shard", "pass": pass_, "shard": shard, "first_group": shard * plan.shard_groups, "groups": groups,
                 "written_by": written_by(), "made_with": track.settings["made_with"],
                 "loss": summarise(track, [draft[g][1] for g in range(groups)]),
                 "track": {key: value for key, value in track.settings.items() if key != "check"}}
        path = track.shard_directory.path(number)
        self._made.append(write_container(path, datasets, _compact(about), 1 if track.encoding in WITH_FLAG else 0))

    def close(self) -> None:
        """Lists the finished shards in shards.json, also those of a writer that was killed. Groups of unfinished shards are dropped;
        missing() gives them again."""
        self._drafts.clear()
        path = self.directory / "shards.json"
        records = {record.name: record for record in self._made}
        try:
            earlier = {record.name: record for record in _listed(path)}
            there = sorted(name for name in os.listdir(self.directory) if SHARD_NAME.fullmatch(name)) if self.directory.exists() else []
            if not self._made and earlier.keys() >= set(there):
                return
            for record in earlier.values():
                records.setdefault(record.name, record)
            for name in there:
                if name not in records:
                    content = (self.directory / name).read_bytes()
                    records[name] = FileRecord(name, len(content), f"{xxh3(content):016x}")
            listed = sorted((r for r in records.values() if (self.directory / r.name).exists()), key=lambda r: int(r.name[:-3]))
            lines = ",\n".join(f"    {json.dumps(record._asdict())}" for record in listed)
            publish(path, f"{{\n  \"format\": \"vitrine shards\",\n  \"version\": 1,\n  \"shards\": [\n{lines}\n  ]\n}}\n".encode(),
                    replace=True)
        except OSError as problem:
            raise self._not_written(problem, path) from None
        self._made.clear()


def _listed(path: Path) -> list[FileRecord]:
    """The records of a shards.json; none if it is missing or damaged, as it can be rebuilt."""
    try:
        found = parse_json(path.read_bytes())
        return [FileRecord(each["name"], each["bytes"], each["xxh3"]) for each in found["shards"]] if found["version"] == 1 else []
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return []


def _codec(kind: str, encoding: str, max_error: float | None, kept: int | None, temperatures: Sequence[float]) -> dict[str, Any]:
    """track.json's `codec`."""
    if encoding == "topk":
        return {**({"max_error": max_error} if max_error else {}), "kept": 0 if kept is None else int(kept),
                "temperatures": [float(t) for t in temperatures]}
    if kept is not None:
        raise InputError(f"kept = {kept} does not fit the encoding {encoding}; expected it with topk only")
    if encoding in ("uniform", "transform"):
        return {"max_error": float((0.01 if encoding == "transform" else 1 / 64) if max_error is None else max_error)}
    if max_error is not None:
        raise InputError(f"max_error = {max_error} does not fit the encoding {encoding}; expected it with uniform, topk or transform")
    return {}


def _numbers(values: Any) -> np.ndarray:
    """float32, of an array or a tensor."""
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.ascontiguousarray(values, np.float32)


def _compact(about: dict[str, Any]) -> bytes:
    return json.dumps(about, separators=(",", ":"), ensure_ascii=False).encode()

"""track.json's object (FORMAT.md): its keys and types, and the differences between two. Unknown keys are ignored,
except in `codec`, where they may change the meaning of the values."""
from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .encodings import ENCODINGS, Newer, check, is_hash, is_number, is_whole

TEACHER_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,200}")
AXES = {"logits": 1, "embedding": 1, "features": 3, "attention": 3}
LOWEST_LEVEL, HIGHEST_LEVEL, LOWEST_WINDOW, HIGHEST_WINDOW = -7, 19, 10, 27  # of zstd
DAMAGED = "the file is damaged, copy or make it again"


def word(value: Any) -> str:
    """A value as printed in messages."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


Test = Callable[[Any], bool]


class Fields:
    """Typed access to an object's fields; ValueError that names the key with its parents, and what to do."""

    def __init__(self, found: Any, above: str = "") -> None:
        self.found, self.above = found, above
        if not isinstance(found, dict):
            raise ValueError(f"{above[:-1] + ' ' if above else ''}is not an object; {DAMAGED}")

    def at(self, key: str) -> Any:
        if key not in self.found:
            raise ValueError(f"{self.above}{key} is missing; {DAMAGED}")
        return self.found[key]

    def get(self, key: str, fits: Test, expected: str, name: str | None = None) -> Any:
        return self.fit(name or key, self.at(key), fits, expected)

    def fit(self, name: str, value: Any, fits: Test, expected: str) -> Any:
        if not fits(value):
            raise ValueError(f"{self.above}{name} = {word(value)} is not allowed; expected {expected}")
        return value

    def object(self, key: str) -> Fields:
        return Fields(self.at(key), f"{self.above}{key}.")

    def text(self, key: str) -> Any:
        return self.get(key, lambda value: isinstance(value, str), "a text")

    def flag(self, key: str) -> Any:
        return self.get(key, lambda value: isinstance(value, bool), "true or false")

    def number(self, key: str) -> Any:
        return self.get(key, is_number, "a number")

    def whole(self, key: str, low: int = -2**31, high: int = 2**31 - 1) -> Any:
        return self.get(key, lambda value: is_whole(value) and low <= value <= high, "an integer")

    def list(self, key: str, fits: Test, expected: str, name: str | None = None) -> Any:
        found = self.get(key, lambda value: isinstance(value, list), "a list")
        return [self.fit(name or key, value, fits, expected) for value in found]


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_head(value: Any) -> bool:
    return is_whole(value) and -2**31 <= value < 2**31


def is_unsigned(value: Any) -> bool:
    return is_whole(value) and 0 <= value < 2**32


def _architecture(fields: Fields) -> dict[str, Any]:
    return {"family": fields.text("family"), **{key: value for key, value in fields.found.items() if key != "family"}}


def _teacher(fields: Fields) -> dict[str, Any]:
    teacher = {"name": fields.text("name"), "weights_sha256": fields.text("weights_sha256"),
               **({"zero_shot": True} if "zero_shot" in fields.found and fields.flag("zero_shot") else {}),
               "architecture": _architecture(fields.object("architecture")),
               "mean": fields.list("mean", is_number, "a number"), "std": fields.list("std", is_number, "a number"),
               "crop_pct": fields.number("crop_pct"), "interpolation": fields.text("interpolation"),
               "class_list_sha256": fields.text("class_list_sha256")}
    if "license" in fields.found and fields.text("license"):
        teacher["license"] = fields.found["license"]
    if not TEACHER_NAME.fullmatch(teacher["name"]):
        raise ValueError(f"\"{teacher['name']}\" cannot name a teacher; expected letters, digits, '_', '-' and '.'")
    if not is_hash(teacher["weights_sha256"]) or not is_hash(teacher["class_list_sha256"]):
        raise ValueError("a hash of the teacher's weights or classes is not SHA-256; expected 64 hexadecimal digits")
    for key, low, high in (("mean", 0, 1), ("std", 1e-6, 1e6)):
        if len(teacher[key]) != 3 or not all(low <= colour <= high for colour in teacher[key]):
            colours = word([float(colour) for colour in teacher[key]])
            raise ValueError(f"teacher.{key} = {colours} is not allowed; expected three numbers from {low:g} to {high:g}")
    if not 0 < teacher["crop_pct"] <= 1:
        raise ValueError(f"teacher.crop_pct = {teacher['crop_pct']:g} is not allowed; expected a number above 0, up to 1")
    return teacher


def _made_with(fields: Fields) -> dict[str, Any]:
    device, libraries = fields.object("device"), fields.object("libraries")
    made_with = {"device": {key: device.text(key) for key in ("kind", "name", "capability")},
                 "precision": fields.text("precision"), "micro_batch": fields.whole("micro_batch", 0, 2**32 - 1),
                 "libraries": {key: libraries.text(key) for key in libraries.found}}
    if made_with["device"]["kind"] == "cpu":
        made_with["device"]["instruction_sets"] = device.list("instruction_sets", is_text, "a text")
    if not made_with["device"]["kind"] or not made_with["precision"]:
        raise ValueError("made_with has no device kind or no precision; expected for instance \"cpu\" and \"fp32\"")
    if made_with["micro_batch"] == 0:
        raise ValueError("made_with.micro_batch = 0 is not allowed; expected an integer from 1")
    return made_with


CODEC: dict[str, Callable[[Fields], Any]] = {"max_error": lambda codec: codec.number("max_error"), "kept": lambda codec: codec.whole("kept", 0, 2**32 - 1),
         "temperatures": lambda codec: codec.list("temperatures", is_number, "a number"),
         "basis": lambda codec: codec.text("basis")}


def _codec(fields: Fields) -> dict[str, Any]:
    """Drops values that are 0 or empty, as they mean the same as absent ones."""
    for key in fields.found:
        if key not in CODEC:
            raise Newer(f"codec.{key} is a setting that this program does not know; use a newer vitrine")
    return {key: value for key in fields.found if (value := CODEC[key](fields))}


def _encoding(fields: Fields) -> dict[str, Any]:
    """`encoding`, `codec`, `level` and `window`, not yet checked for consistency."""
    encoding = fields.text("encoding")
    if encoding not in ENCODINGS:
        *others, last = ENCODINGS
        raise Newer(f"unknown encoding \"{encoding}\"; expected one of {', '.join(others)} and {last}")
    return {"encoding": encoding, "codec": _codec(fields.object("codec")) if "codec" in fields.found else {},
            "level": fields.whole("level"), "window": fields.whole("window") if "window" in fields.found else 0}


def _earlier(fields: Fields, shape: Sequence[int]) -> dict[str, Any]:
    """A track's encoding before it was recoded. One of a newer version is returned as is, as reading does not need it."""
    try:
        encoding = _encoding(fields)
    except Newer:
        return fields.found
    hash_ = fields.text("track_sha256")
    try:
        check(encoding["encoding"], encoding["codec"], shape)
    except ValueError as problem:
        raise ValueError(f"recoded_from: {problem}") from None
    if not is_hash(hash_):
        raise ValueError("recoded_from: track_sha256 is not SHA-256; expected 64 hexadecimal digits")
    return {**encoding, "track_sha256": hash_}


def _check_compression(level: int, window: int) -> None:
    if level == 0 or not LOWEST_LEVEL <= level <= HIGHEST_LEVEL:
        raise ValueError(f"zstd level {level} is not allowed; expected from 1 to {HIGHEST_LEVEL}, or from {LOWEST_LEVEL} to "
                         "-1, which read faster and hardly compress")
    if window != 0 and not LOWEST_WINDOW <= window <= HIGHEST_WINDOW:
        raise ValueError(f"a zstd window of 2^{window} bytes is not allowed; expected from {LOWEST_WINDOW} to "
                         f"{HIGHEST_WINDOW}, or 0 for the level's own")


def known(settings: Any) -> dict[str, Any]:
    """The known part of a track's object, whose format and version were checked; tracks are equal if this is. Raises
    Newer for values that only a newer version writes, ValueError for values that are missing, of the wrong type or out
    of range; both with the C++ reader's messages."""
    fields = Fields(settings)
    track = {"teacher": _teacher(fields.object("teacher")), "kind": fields.text("kind"), "block": fields.whole("block"),
             "normalised": fields.flag("normalised")}
    kind, block = track["kind"], track["block"]
    if kind == "attention":
        heads = fields.object("heads")
        track["heads"] = {"kept": heads.list("kept", is_head, "an integer"),
                          "mean": heads.flag("mean")}
        if "rollout" in heads.found and heads.flag("rollout"):
            track["heads"]["rollout"] = True
            if track["heads"]["kept"] or not track["heads"]["mean"]:
                raise ValueError("heads.rollout does not fit the other heads; expected the mean over all heads, of an "
                                 "attention track")
    shape = track["shape"] = fields.list("shape", is_unsigned, "an integer", "an axis of shape")
    track.update(_encoding(fields))
    encoding = track["encoding"]
    track["plan"] = fields.text("plan")
    if not is_hash(track["plan"]):
        raise ValueError("the plan's hash is not SHA-256; expected 64 hexadecimal digits")
    if kind not in AXES:
        raise Newer(f"unknown kind of track \"{kind}\"; use a newer vitrine")
    if "class_names_sha256" in settings:
        track["class_names_sha256"] = fields.text("class_names_sha256")
        if not track["class_names_sha256"]:
            del track["class_names_sha256"]  # as if it were absent
        elif not is_hash(track["class_names_sha256"]):
            raise ValueError("class_names_sha256 is not SHA-256; expected 64 hexadecimal digits")
        elif kind != "logits":
            raise ValueError(f"class_names_sha256 does not fit {kind}; expected it of logits only")
    if (AXES[kind] == 3) != (block >= 0) or block < -1:
        raise ValueError(f"block {block} does not fit {kind}; expected -1 for logits and embedding, and a block from 0 for others")
    if len(shape) != AXES[kind]:
        raise ValueError(f"a shape of {len(shape)} axes does not fit {kind}; expected one axis for logits and embedding, else three")
    few = encoding == "topk"  # stores few of many classes
    for axis in shape:
        if not 1 <= axis <= (2**32 - 1 if few else 2**24):
            raise ValueError(f"a shape with an axis of {axis} is not possible")
    if math.prod(shape) > 2**28 and not few:
        raise ValueError("a view of more than 2^28 values is not allowed")
    for head in track.get("heads", {"kept": []})["kept"]:
        if head < 0:
            raise ValueError(f"heads.kept names head {head}; expected heads from 0, of an attention track")
    check(encoding, track["codec"], shape)
    _check_compression(track["level"], track["window"])
    track["made_with"] = _made_with(fields.object("made_with"))
    earlier = fields.list("recoded_from", lambda value: True, "an object") if "recoded_from" in settings else []
    track["recoded_from"] = [_earlier(Fields(encoding, "recoded_from."), shape) for encoding in earlier]
    views = fields.whole("calibration_views", 0, 2**64 - 1) if "calibration_views" in settings else 0
    return {**track, "calibration_views": views}


def differences(recorded: dict[str, Any], given: dict[str, Any], above: str = "") -> Iterator[tuple[str, str, str]]:
    """The differences of two results of known(): (key, recorded value, given value) for each key that differs, with its
    parents ("codec.max_error"); values as JSON, "nothing" if absent."""
    def absent(found: dict[str, Any], key: str) -> bool:
        return key not in found or (key in ("codec", "window", "recoded_from", "calibration_views") and not found[key])
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(recorded.get(key), dict):
            yield from differences(recorded[key], value, f"{above}{key}.")
        elif absent(recorded, key) != absent(given, key) or (not absent(given, key) and recorded[key] != value):
            had, has = ("nothing" if absent(found, key) else word(found[key]) for found in (recorded, given))
            yield above + key, had, has
    yield from ((above + key, word(value), "nothing") for key, value in recorded.items() if key not in given)

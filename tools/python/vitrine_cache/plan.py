"""The settings that determine every view: plan.json."""
from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .encodings import is_number, is_whole
from .errors import CorruptError, InputError
from .index import Index
from .json_files import read_json

SHARE, ALPHA, RATIO = (is_number, 0, 1), (is_number, 0, 1000), (is_number, 0.01, 100)
SETTINGS: dict[str, tuple[Callable[[Any], bool], float, float]] = {
    "seed": (is_whole, 0, 2**63 - 1), "group": (is_whole, 2, 65536), "shard_groups": (is_whole, 1, 65536),
    "image_size": (is_whole, 1, 65535), "min_area": SHARE, "max_area": SHARE, "min_ratio": RATIO, "max_ratio": RATIO,
    "flip": SHARE, "mix_probability": SHARE, "switch_probability": SHARE, "mixup_alpha": ALPHA, "cutmix_alpha": ALPHA}
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
        if key == "resize":
            if settings[key] != "letterbox":
                raise ValueError(f"settings.resize = {settings[key]!r} is not allowed; expected \"letterbox\"")
        elif key not in SETTINGS:
            raise ValueError(f"unknown setting {key}; the plan was made by another version of vitrine")
    s = settings
    if s["group"] % 2:
        raise ValueError(f"group = {s['group']} is not allowed; expected an even number, so that each view has a partner")
    if s["min_area"] > s["max_area"] or s["max_area"] == 0 or s["min_ratio"] > s["max_ratio"]:
        raise ValueError("a least area or ratio above the largest, or no area, is not allowed")
    if any(0 < s[key] < LEAST_ALPHA for key in ("mixup_alpha", "cutmix_alpha")):
        raise ValueError(f"an alpha below {LEAST_ALPHA} that is not 0 is not allowed")
    if "resize" in s and s["mix_probability"] > 0:
        raise ValueError(f"resize = \"letterbox\" with mix_probability = {s['mix_probability']} is not allowed; expected 0")
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
        self.letterbox = "resize" in self.settings
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

"""The images of a cache: index.h5."""
from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from .container import Container
from .errors import CorruptError, NewerFormatError
from .recipes import NO_LABEL

UNLABELLED = ".unlabelled/"  # prefix of the paths of images in the additional unlabelled folder


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

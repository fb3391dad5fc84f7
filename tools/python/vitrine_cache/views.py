"""Renders recipes to pictures with PIL: at the teacher's resolution byte for byte what it saw.

A view is cropped first, then resized with PIL's antialiased bicubic filter and mirrored, then mixed in integers with its
partner's view before mixing."""
from __future__ import annotations

import io
import operator
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from xxhash import xxh3_64_intdigest as xxh3

from .cache import Cache
from .errors import InputError, require_directory, system_error
from .index import UNLABELLED
from .recipes import CUT_MIX, LEFT_OUT, MIX_UP, NO_MIX, geometry, hashed_view, left_out, letterbox_place, scale_edge


LARGEST_SIZE = 65535  # as in plan.json
PADDING = (124, 116, 104)  # around letterboxed pictures: ImageNet's mean colour


def mix_bytes(own: np.ndarray, other: np.ndarray, share: int) -> np.ndarray:
    """MixUp of uint8 arrays: (own * share + other * (65536 - share) + 32768) >> 16, with share in 1/65536."""
    share = int(share)
    mixed = own.astype(np.uint32) * share + other.astype(np.uint32) * (65536 - share) + 32768
    return (mixed >> 16).astype(np.uint8)


ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
           5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
           8: Image.Transpose.ROTATE_90}


def exif_orientation(picture: Image.Image) -> int:
    """1 (upright) to 8, from EXIF data only; Pillow's getexif() also uses other metadata."""
    picture.load()  # a PNG file may have its EXIF data after its pixels
    exif = Image.Exif()
    try:
        exif.load(picture.info["exif"])
        return int(exif.get(ORIENTATION, 1))
    except Exception:  # invalid data: handled as in C++
        return 1


def decode(content: bytes, apply_orientation: bool, scale_grey16: bool) -> Image.Image:
    """Decodes a file's bytes to a PIL image, RGB."""
    picture: Image.Image = Image.open(io.BytesIO(content))
    orientation = exif_orientation(picture) if apply_orientation else 1
    if scale_grey16 and picture.mode.startswith("I"):
        picture = Image.fromarray(((np.asarray(picture).astype(np.uint32) + 128) // 257).astype(np.uint8))
    picture = picture.convert("RGB")
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


class Views:
    """Renders views from `root`, the folder that the cache's index was made from, and `unlabelled`, the folder of
    additional unlabelled images, if any. `size`: side of the pictures, the teacher's if not given. `allow_pictures`
    accepts pictures that differ from the teacher's because of another decoder. Can be pickled and used in several
    processes."""

    def __init__(self, root: str | os.PathLike[str], cache: Cache, size: int | None = None,
                 unlabelled: str | os.PathLike[str] | None = None, allow_pictures: bool = False) -> None:
        self.root, self.cache, self.allow_pictures = Path(root), cache, allow_pictures
        self.size = self._checked_size(cache.plan.image_size if size is None else size)
        self.unlabelled = None if unlabelled is None else Path(unlabelled)
        require_directory(self.root, "the folder that the cache's index was made from")
        if self.unlabelled is not None:
            require_directory(self.unlabelled, "the folder of the cache's images without labels")
        elif cache.index.unlabelled:
            raise InputError(f"{cache.directory}: has images that lie in a further folder of images without labels; give "
                             "that folder too (unlabelled)")

    @staticmethod
    def _checked_size(size: Any) -> int:
        try:
            whole = operator.index(size)
        except TypeError:
            whole = 0
        if isinstance(size, bool) or not 1 <= whole <= LARGEST_SIZE:
            raise InputError(f"size = {size!r} is not allowed; expected an integer from 1 to {LARGEST_SIZE}")
        return whole

    def file(self, id: str) -> Path:
        """Path of an image, by its id in the index."""
        if self.unlabelled is not None and id.startswith(UNLABELLED):
            return self.unlabelled / id[len(UNLABELLED):]
        return self.root / id

    def picture(self, image: int) -> Image.Image:
        """One image of the index: PIL, RGB, decoded as the index says. Rejects a file that is not the index's."""
        index, path = self.cache.index, self.file(self.cache.index.id(image))
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise system_error(problem, path, "cannot be read",
                               "give the folder that the cache's index was made from") from None
        if len(content) != index.file_bytes[image] or xxh3(content) != index.hash[image]:
            raise InputError(
                f"{path}: is not the file that the index was made from; give the folder of that time, or make a "
                "new cache of this one")
        try:
            picture = decode(content, index.apply_orientation, index.scale_grey16)
        except MemoryError:
            raise
        except Image.DecompressionBombError as problem:
            raise InputError(f"{path}: Pillow refuses to decode it ({problem}); set PIL.Image.MAX_IMAGE_PIXELS higher, or to "
                             "None") from None
        except Exception as problem:  # Pillow has no common class of them: OSError, SyntaxError, ValueError, struct.error...
            raise InputError(f"{path}: Pillow cannot decode it ({problem}); use Pillow's own wheel, which reads what the "
                             "teacher read") from problem
        if (picture.height, picture.width) != (index.height[image], index.width[image]):
            raise InputError(f"{path}: has {picture.height} by {picture.width} pixels, but the index says "
                             f"{index.height[image]} by {index.width[image]}; make the index again")
        return picture

    def crop(self, picture: Image.Image, recipe: np.void) -> np.ndarray:
        """The view before mixing: uint8 [size, size, 3]."""
        top, left, height, width = (int(recipe[key]) for key in ("top", "left", "height", "width"))
        first_y, first_x, last_y, last_x = 0, 0, self.size, self.size
        if boxed := recipe["mix"] == NO_MIX and recipe["box_bottom"] > recipe["box_top"]:
            first_y, first_x, last_y, last_x = letterbox_place(recipe, self.cache.plan.image_size, self.size)
        view = picture.crop((left, top, left + width, top + height))
        # Rows, then columns, each rounded to bytes: Pillow before 13 uses this order, later versions either.
        view = view.resize((last_x - first_x, height), Image.Resampling.BICUBIC)
        view = view.resize((last_x - first_x, last_y - first_y), Image.Resampling.BICUBIC)
        if recipe["flip"]:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if not boxed:
            return np.asarray(view)
        padded = np.full((self.size, self.size, 3), PADDING, np.uint8)
        padded[first_y:last_y, first_x:last_x] = np.asarray(view)
        return padded

    def geometry(self, recipes: np.ndarray) -> np.ndarray:
        """Where points of the images are in these views: float64 [N, 4], scale x, scale y, offset x, offset y; scale x is
        negative where the view is mirrored. view = offset + scale * image, in pixels."""
        return geometry(recipes, self.cache.plan.image_size, self.size)

    def group(self, recipes: np.ndarray) -> np.ndarray:
        """The mixed views of a whole group: uint8 [group, size, size, 3]. Decodes each image once. Views left out are
        black, and no image is read only for them."""
        plain = np.zeros((len(recipes), self.size, self.size, 3), np.uint8)
        missing = left_out(recipes)
        wanted = ~missing
        wanted[recipes["partner"][wanted & (recipes["mix"] != NO_MIX)]] = True
        for image in np.unique(recipes["image"][wanted]):
            picture = self.picture(int(image))
            for place in np.flatnonzero((recipes["image"] == image) & wanted):
                plain[place] = self.crop(picture, recipes[place])
        mixed = plain.copy()
        mixed[missing] = 0
        for own, other, recipe in zip(mixed, plain[recipes["partner"]], recipes):
            if recipe["reserved"] & LEFT_OUT:
                continue
            if recipe["mix"] == MIX_UP:
                own[:] = mix_bytes(own, other, recipe["lambda"])
            elif recipe["mix"] == CUT_MIX:
                edges = (int(recipe["box_" + edge]) for edge in ("top", "left", "bottom", "right"))
                top, left, bottom, right = (scale_edge(e, self.cache.plan.image_size, self.size) for e in edges)
                own[top:bottom, left:right] = other[top:bottom, left:right]
        return mixed

    def read(self, pass_: int, group: int) -> np.ndarray:
        """The pictures of a stored group. At the teacher's resolution, compares one of them with the cache's hash."""
        return self.read_with_recipes(pass_, group)[0]

    def read_with_recipes(self, pass_: int, group: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """read(), the group's recipes, and whether the compared picture matched the hash (False only with allow_pictures)."""
        pass_, group = operator.index(pass_), operator.index(group)
        recipes, hash_ = self.cache.recipes_and_hash(pass_, group)
        pictures = self.group(recipes)
        place = hashed_view(recipes, group)
        same = (self.size != self.cache.plan.image_size or place is None or
                xxh3(pictures[place].tobytes()) == hash_)
        if not (same or self.allow_pictures):
            raise InputError(
                f"{self.root}: view {place} of pass {pass_}, group {group} has other pixels than the teacher saw; use "
                "Pillow's own wheel, with libjpeg-turbo, or store the images without loss, or continue anyway with "
                "allow_pictures=True")
        return pictures, recipes, same

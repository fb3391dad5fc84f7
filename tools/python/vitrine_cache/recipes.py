"""What a view is (FORMAT.md, recipes/NNNNN.h5)."""
from __future__ import annotations

import numpy as np

RECIPE = np.dtype([("image", "<u4"), ("label", "<u4"), ("top", "<i4"), ("left", "<i4"), ("height", "<i4"),
                   ("width", "<i4"), ("flip", "u1"), ("mix", "u1"), ("partner", "<u2"), ("lambda", "<u2"),
                   ("box_top", "<u2"), ("box_left", "<u2"), ("box_bottom", "<u2"), ("box_right", "<u2"),
                   ("reserved", "<u2")])
NO_MIX, MIX_UP, CUT_MIX = 0, 1, 2
NO_LABEL = 2**32 - 1  # in files; -1 in Cache.labels
LEFT_OUT = 1  # a bit of a recipe's "reserved"


def own_share(recipes: np.ndarray) -> np.ndarray:
    """The share of each view's own label, float32 in [0, 1]; the rest is its partner's."""
    return np.where(recipes["mix"] == NO_MIX, np.float32(1), recipes["lambda"].astype(np.float32) / np.float32(65536))


def left_out(recipes: np.ndarray) -> np.ndarray:
    """Views left out, with no pixels, no label and blank targets, as their pictures could not be read. bool [group]."""
    return (recipes["reserved"] & LEFT_OUT) != 0


def letterboxed(recipes: np.ndarray) -> np.ndarray:
    """Views that are whole pictures in a box, surrounded by padding (plan.resize = "letterbox"). bool [group]."""
    return (recipes["mix"] == NO_MIX) & (recipes["box_bottom"] > recipes["box_top"])


def scale_edge(value: int, teacher: int, size: int) -> int:
    """An edge of a box from the teacher's pixels to another grid: value * size / teacher, halves rounded up."""
    return (2 * value * size + teacher) // (2 * teacher)


def letterbox_place(recipe: np.void, teacher: int, size: int) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of a letterboxed picture in a view of `size` pixels; never empty."""
    top, left, bottom, right = (scale_edge(int(recipe["box_" + edge]), teacher, size)
                                for edge in ("top", "left", "bottom", "right"))
    top, left = min(top, size - 1), min(left, size - 1)
    return top, left, max(bottom, top + 1), max(right, left + 1)


def geometry(recipes: np.ndarray, teacher: int, size: int) -> np.ndarray:
    """Where points of the images are in the views: float64 [N, 4], scale x, scale y, offset x, offset y. The point (x, y) of
    an image, in its pixels, is at (offset x + scale x * x, offset y + scale y * y) in the view's; scale x is negative where the
    view is mirrored. `teacher`, `size`: sides of the teacher's pictures and of the views. Of mixed views it is that of the
    view's own image."""
    found = np.empty((len(recipes), 4))
    for row, recipe in zip(found, recipes):
        top, left, height, width = (int(recipe[key]) for key in ("top", "left", "height", "width"))
        first_y, first_x, last_y, last_x = 0, 0, size, size
        if recipe["mix"] == NO_MIX and recipe["box_bottom"] > recipe["box_top"]:
            first_y, first_x, last_y, last_x = letterbox_place(recipe, teacher, size)
        x, y = (last_x - first_x) / width, (last_y - first_y) / height
        row[:] = x, y, first_x - x * left, first_y - y * top
        if recipe["flip"]:
            row[0], row[2] = -x, last_x + x * left
    return found


def hashed_view(recipes: np.ndarray, group: int) -> int | None:
    """The position of the view whose hash is stored: group % views, or the next one that is not left out; None: no view."""
    kept = np.flatnonzero(~left_out(np.roll(recipes, -(group % len(recipes)))))
    return (group + int(kept[0])) % len(recipes) if len(kept) else None

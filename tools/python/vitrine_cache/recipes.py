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


def hashed_view(recipes: np.ndarray, group: int) -> int | None:
    """The position of the view whose hash is stored: group % views, or the next one that is not left out; None: no view."""
    kept = np.flatnonzero(~left_out(np.roll(recipes, -(group % len(recipes)))))
    return (group + int(kept[0])) % len(recipes) if len(kept) else None

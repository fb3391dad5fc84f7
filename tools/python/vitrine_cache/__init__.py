"""Reads and writes a vitrine cache in Python: the targets that a vision transformer computed for augmented views of images,
and the views themselves, for training a student in PyTorch. Needs numpy, zstandard and xxhash; Pillow for images; torch for training.

    >>> from vitrine_cache import Cache, VitrineDataset
    >>> cache = Cache("cache")
    >>> cache
    Cache('cache', 15 images, 3 tracks)
    >>> [(track.name, track.encoding, track.shape) for track in cache.tracks]
    [('attention.1', 'sqrt8', (2, 4, 4)), ('features.1', 'transform', (16, 4, 4)), ('logits', 'uniform', (3,))]
    >>> cache.plan.group, cache.plan.groups_per_pass, cache.track("logits").passes
    (8, 2, [0, 1, 2, 3, 4, 5, 6, 7])
    >>> values = cache.track("features.1").read(0, 1)     # pass 0, group 1: float32 [group, C, H, W]
    >>> values.shape
    (8, 16, 4, 4)
    >>> data = VitrineDataset(cache, "images", ["logits"], batch_size=16)
    >>> batch = data[0]
    >>> batch.images.shape, batch.targets["logits"].shape
    (torch.Size([16, 3, 32, 32]), torch.Size([16, 3]))

README.md beside this package has a training loop. Implements Vitrine's common/cache/FORMAT.md, verifies every checksum and
gives the same values as the C++ reader. The compiled decoder, which the wheel contains and a build puts into build/lib, reads
transform tracks many times faster than NumPy.

Modules, each using those before it: errors, container, native, transform, encodings, track_settings, json_files, recipes,
index, plan, shards, track, cache; then views for images, epochs, and with torch features, batch, dataset, loading, losses; verify and export for the command line;
encoders, container_writer, provenance and writer, which adds a track.

Unusable parts of a cache (a damaged track.json, a directory instead of a file) are listed in Cache.problems and raise only
when used. Errors are CacheErrors, one sentence each: InputError, IoError, CorruptError, NewerFormatError, ResourceError.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__
from .cache import Cache, Problem
from .colours import IMAGENET_MEAN, IMAGENET_STD
from .container import Container
from .encodings import ENCODINGS
from .errors import CacheError, CorruptError, InputError, IoError, NewerFormatError, ResourceError
from .index import Index
from .plan import Plan
from .recipes import NO_LABEL, RECIPE, hashed_view, left_out, own_share
from .track import Track

if TYPE_CHECKING:
    from . import losses
    from .batch import Batch, TopK, normalised, place_boxes
    from .dataset import VitrineDataset
    from .loading import Loader, loader
    from .views import Views
    from .writer import Writer

__all__ = ["Batch", "Cache", "CacheError", "Container", "CorruptError", "ENCODINGS", "IMAGENET_MEAN", "IMAGENET_STD", "Index",
           "InputError", "IoError", "Loader", "NO_LABEL", "NewerFormatError", "Plan", "Problem", "RECIPE", "ResourceError",
           "TopK", "Track", "Views", "VitrineDataset", "Writer", "__version__", "hashed_view", "left_out", "loader", "losses",
           "normalised", "own_share", "place_boxes"]

LATER = {"Batch": "batch", "TopK": "batch", "normalised": "batch", "place_boxes": "batch", "VitrineDataset": "dataset", "Loader": "loading",
         "loader": "loading", "Views": "views", "Writer": "writer"}  # need torch, Pillow or h5py; by module


def __getattr__(name: str) -> Any:
    """Imports names that need torch, Pillow or h5py on first use."""
    import importlib
    if name == "losses":
        return importlib.import_module(".losses", __name__)
    if name in LATER:
        return getattr(importlib.import_module("." + LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

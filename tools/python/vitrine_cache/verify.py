"""Reads every byte of a cache. vitrine-cache verify does more: it also compares files with their lists, and can run the
teacher again."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .cache import Cache
from .container import Container
from .encodings import TOPK
from .errors import CacheError, CorruptError
from .shards import ShardDirectory
from .track import Track


def problems(cache: Cache) -> Iterator[str]:
    """A sentence for each part that cannot be read, does not fit its checksum or place, or has values that are not finite."""
    for problem in cache.problems:
        yield str(problem.error)
    for number, file in _files(cache.recipe_files):
        if isinstance(file, str):
            yield file
            continue
        pass_, shard, groups = cache.plan.place(number)
        for group in range(groups):
            yield from _refused(lambda: cache.recipes(pass_, shard * cache.plan.shard_groups + group))
    for track in cache.tracks:
        yield from _track_problems(track)


def _track_problems(track: Track) -> Iterator[str]:
    if track.encoding == "transform":
        without_basis = list(_refused(lambda: track.basis))
        if without_basis:
            yield from without_basis
            return
    for number, file in _files(track.shard_directory):
        if isinstance(file, str):
            yield file
            continue
        pass_, shard, groups = track.plan.place(number)
        for group in range(groups):
            yield from _refused(lambda: _require_finite(track, file, pass_, shard * track.plan.shard_groups + group))


def _files(directory: ShardDirectory) -> Iterator[tuple[int, Container | str]]:
    """Each shard, or what is wrong with it."""
    for number in directory.numbers:
        try:
            yield number, directory.open(number)
        except CacheError as error:
            yield number, str(error)


def _refused(read: Callable[[], object]) -> Iterator[str]:
    try:
        read()
    except CacheError as error:
        yield str(error)


def _require_finite(track: Track, file: Container, pass_: int, group: int) -> None:
    arrays = track.arrays(pass_, group)
    values = track.decode(arrays, pass_, group, TOPK.kept)[0] if track.encoding == "topk" else track.decode(arrays, pass_, group)
    if not np.isfinite(values).all():
        raise CorruptError(f"{file.path}: group {group % track.plan.shard_groups}: has values that are not finite; extract the "
                           "track again")

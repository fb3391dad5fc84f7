"""Batches of views with their targets, for torch.utils.data.DataLoader. Needs torch 2.1 or later and Pillow."""
from __future__ import annotations

import functools
import hashlib
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data._utils.collate import default_collate_fn_map

from .batch import Batch, TopK, concatenate
from .cache import Cache
from .epochs import epoch_order
from .errors import InputError
from .recipes import NO_LABEL, left_out, own_share
from .track import Track
from .views import Views

NO_TARGET = -100  # cross_entropy()'s default ignore_index
# DataLoader(data, batch_size=n) joins n batches; batch_size=None gives them as they are.
default_collate_fn_map[Batch] = lambda parts, *, collate_fn_map=None: concatenate(parts)


class VitrineDataset(torch.utils.data.Dataset[Batch]):
    """The batches of one epoch after another, over all passes of a cache. data[i] is batch i of the current epoch, which
    set_epoch() chooses; loader() makes a DataLoader. A batch is one or more whole groups of views, as views are mixed within
    their group.

    cache           a Cache or its directory
    images          the folder that the cache was made from
    tracks          names ("logits", or "TEACHER/logits") or Tracks; their names are the keys of Batch.targets, with the
                    teacher's directory before them where two tracks have one name
    batch_size      views per batch, a multiple of plan.group; by default one group
    size            side of the images in pixels; by default the teacher's
    passes          "all", or a list: epochs take one pass each, in turn. All must be complete in every track
    transform       called with each view, uint8 [3, size, size]; the results are stacked. torch's random numbers are seeded
                    per view inside, so that they depend on `seed` and epoch only
    shuffle, seed   the order of passes and groups is vitrine-train's for this seed; without shuffle it is ascending
    rank, world_size  of several processes, each of which gets its share of the groups, all equally many; by default those
                    of torch.distributed where it is initialised
    drop_last       without the last batch if it is not full, as in vitrine-train
    unlabelled      the folder of additional unlabelled images, if the cache has any
    coefficients    a transform track's targets stay coefficients, for Track.to_features() on a GPU: this skips the largest
                    part of decoding
    topk            a topk track's targets stay TopKs; by default they are dense, which is right at its first temperature only
    drop_left_out   views whose pictures could not be read during extraction are dropped from batches, which are then smaller;
                    otherwise they are black, without labels, with blank targets, and marked in Batch.left_out
    allow_pictures  accepts images that this machine decodes differently than the teacher's, with a warning at the first;
                    other_pictures counts their groups. At the teacher's size one view of each group is compared

    The last group of a pass is padded with views of its first images. Objects can be pickled; workers of either kind, also
    persistent ones, follow set_epoch(). With transform tracks and several workers start Python with OPENBLAS_NUM_THREADS=1.
    """

    def __init__(self, cache: Cache | str | os.PathLike[str], images: str | os.PathLike[str],
                 tracks: Iterable[str | Track] = ("logits",), *, batch_size: int | None = None, size: int | None = None,
                 passes: str | Sequence[int] = "all", transform: Callable[[Tensor], Tensor] | None = None,
                 shuffle: bool = True, seed: int = 0, rank: int | None = None, world_size: int | None = None,
                 drop_last: bool = True, unlabelled: str | os.PathLike[str] | None = None, coefficients: bool = False,
                 topk: bool = False, drop_left_out: bool = True, allow_pictures: bool = False) -> None:
        self.cache = cache if isinstance(cache, Cache) else Cache(cache)
        self.tracks = self._named(tracks)
        self.views = Views(images, self.cache, size, unlabelled, allow_pictures)
        self.transform, self.shuffle, self.coefficients, self.topk = transform, shuffle, coefficients, topk
        if transform is not None and not callable(transform):
            raise InputError(f"transform = {transform!r} is not allowed; expected a function of a view, uint8 [3, size, size]")
        self.drop_last, self.drop_left_out = drop_last, drop_left_out
        self.seed = whole("seed", seed, 0, 2**63 - 1)
        self.rank, self.world_size = self._place(rank, world_size)
        self.batch_size = self._views(batch_size)
        self.passes = self._complete(passes)
        groups = -(-self.cache.plan.groups_per_pass // self.world_size)  # of this rank
        self.groups_per_batch = self.batch_size // self.cache.plan.group
        self._batches = groups // self.groups_per_batch if drop_last else -(-groups // self.groups_per_batch)
        if self._batches == 0:
            raise InputError(f"batch_size = {self.batch_size} is larger than the {groups * self.cache.plan.group} views that a "
                             "pass has for this rank; choose a smaller one, or drop_last=False")
        # In shared memory, as workers have copies of this object: eight bytes of the epoch, and a flag per group.
        self._shared = torch.zeros(8 + self.cache.plan.groups_per_pass, dtype=torch.uint8).share_memory_()
        self._warned = False

    def _named(self, tracks: Any) -> dict[str, Track]:
        """By key in Batch.targets."""
        if isinstance(tracks, (str, Track)) or not hasattr(tracks, "__iter__"):
            raise InputError(f"tracks = {tracks!r} is not allowed; expected a list of names or Tracks, such as [\"logits\"]")
        found = [t if isinstance(t, Track) else self.cache.track(t) for t in tracks]
        for t in found:
            if t.plan.hash != self.cache.plan.hash:
                raise InputError(f"{t.directory}: belongs to another plan than {self.cache.directory}; expected a track of "
                                 "this cache")
        teachers = {t.name: {other.directory.parent.name for other in found if other.name == t.name} for t in found}
        return {t.name if len(teachers[t.name]) == 1 else f"{t.directory.parent.name}/{t.name}": t for t in found}

    @staticmethod
    def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
        if (rank is None) != (world_size is None):
            raise InputError(f"rank = {rank} and world_size = {world_size} do not fit each other; give both or neither")
        if rank is None:
            from torch import distributed
            if not (distributed.is_available() and distributed.is_initialized()):
                return 0, 1
            rank, world_size = distributed.get_rank(), distributed.get_world_size()
        world = whole("world_size", world_size, 1, 2**31 - 1)
        return whole("rank", rank, 0, world - 1), world

    def _views(self, batch_size: int | None) -> int:
        group = self.cache.plan.group
        if batch_size is None:
            return group
        views = whole("batch_size", batch_size, 1, 2**31 - 1)
        if views % group != 0:
            raise InputError(f"batch_size = {views} is not allowed; expected a multiple of {group}, this cache's group, as views "
                             "are mixed within a group")
        return views

    def _complete(self, passes: Any) -> list[int]:
        """The passes to use, ascending."""
        complete = [("recipes", self.cache.recipe_passes), *((name, t.passes) for name, t in self.tracks.items())]
        if isinstance(passes, str) and passes == "all":
            common = functools.reduce(operator.and_, (set(having) for _, having in complete))
            if not common:
                raise InputError(f"{self.cache.directory}: no pass is complete in " + ", ".join(
                    f"{what} ({having or 'none'})" for what, having in complete) + "; extract or copy what is missing")
            return sorted(common)
        if isinstance(passes, str) or not hasattr(passes, "__iter__") or not list(passes):
            raise InputError(f"passes = {passes!r} is not allowed; expected \"all\" or a list of passes, such as [0, 1]")
        wanted = sorted({whole("passes", number, -2**31, 2**31 - 1) for number in passes})
        for number in wanted:
            for what, having in complete:
                if number not in having:
                    raise InputError(f"{self.cache.directory}: pass {number} of {what} is not complete; there are {having}")
        return wanted

    @property
    def epoch(self) -> int:
        return int(self._shared[:8].view(torch.int64))

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch, counted from 0, of the batches from now on. Call it between two iterations of a loader."""
        number = whole("epoch", epoch, 0, 2**32 - 1)
        self._shared[:8].view(torch.int64)[0] = number

    @property
    def other_pictures(self) -> int:
        """Groups of which a compared picture, in any pass so far and over all workers, was not the one that the teacher saw."""
        return int(self._shared[8:].sum())

    def groups(self, epoch: int | None = None) -> tuple[int, list[int]]:
        """The pass of an epoch, by default of the current one, and this rank's groups in their order."""
        return self._groups(self.epoch if epoch is None else whole("epoch", epoch, 0, 2**32 - 1))

    def _groups(self, epoch: int) -> tuple[int, list[int]]:
        if getattr(self, "_ordered", (None,))[0] != epoch:
            self._ordered = (epoch, epoch_order(self.seed, epoch, self.cache.plan.groups_per_pass, self.passes, self.rank,
                                                self.world_size, self.shuffle))
        return self._ordered[1]

    def fingerprint(self) -> dict[str, Any]:
        """All that the order of views depends on."""
        return {"plan": self.cache.plan.hash, "passes": self.passes, "batch_size": self.batch_size, "shuffle": self.shuffle,
                "seed": self.seed, "world_size": self.world_size, "drop_last": self.drop_last}

    def __len__(self) -> int:
        """Batches of an epoch, the same for every rank."""
        return self._batches

    def __getitem__(self, batch: Any) -> Batch:
        batch, epoch = operator.index(batch), self.epoch
        if not 0 <= batch < len(self):
            raise IndexError(f"batch {batch} does not exist; an epoch has {len(self)}")
        pass_, groups = self._groups(epoch)
        first = batch * self.groups_per_batch
        return concatenate([self._group(epoch, pass_, group) for group in groups[first:first + self.groups_per_batch]])

    def _group(self, epoch: int, pass_: int, group: int) -> Batch:
        pixels, recipes, same = self.views.read_with_recipes(pass_, group)
        if not same:
            self._note_other_picture(pass_, group)
        labels, without = recipes["label"].astype(np.int64), left_out(recipes)
        labels[labels == NO_LABEL] = NO_TARGET
        labels, mixed = (np.where(without, NO_TARGET, each) for each in (labels, labels[recipes["partner"]]))
        kept = np.flatnonzero(~without) if self.drop_left_out and without.any() else slice(None)
        images = torch.from_numpy(np.ascontiguousarray(pixels[kept].transpose(0, 3, 1, 2)))
        return Batch(images=self._transformed(images, epoch, group), labels=torch.from_numpy(labels[kept]),
                     mixed_labels=torch.from_numpy(mixed[kept]), lam=torch.from_numpy(own_share(recipes)[kept]),
                     left_out=torch.from_numpy(without[kept]),
                     image=torch.from_numpy(recipes["image"].astype(np.int64)[kept]),
                     geometry=torch.from_numpy(self.views.geometry(recipes)[kept].astype(np.float32)),
                     targets={name: self._target(t, pass_, group, kept) for name, t in self.tracks.items()})

    def _note_other_picture(self, pass_: int, group: int) -> None:
        self._shared[8 + group] = 1
        if not self._warned:
            self._warned = True
            warnings.warn(f"{self.views.root}: pictures have other pixels than the teacher saw, first in pass {pass_}, "
                          f"group {group}; allowed by allow_pictures", stacklevel=4)

    def _target(self, track: Track, pass_: int, group: int, kept: np.ndarray | slice) -> Tensor | TopK:
        if self.coefficients and track.encoding == "transform":
            return torch.from_numpy(track.read_coefficients(pass_, group)[kept])
        if not (self.topk and track.encoding == "topk"):
            return torch.from_numpy(track.read(pass_, group)[kept])
        values, indices, tails = (torch.from_numpy(np.array(part[kept])) for part in track.read_kept(pass_, group))
        return TopK(values, indices, {t: tails[:, i].contiguous() for i, t in enumerate(track.codec["temperatures"])},
                    track.shape[0])

    def _transformed(self, images: Tensor, epoch: int, group: int) -> Tensor:
        if self.transform is None or len(images) == 0:
            return images
        name = f"{self.cache.plan.hash} {self.seed} {epoch} {group}".encode()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int.from_bytes(hashlib.sha256(name).digest()[:8], "little"))
            views = [self.transform(view) for view in images]
        if not all(isinstance(view, Tensor) and view.shape == views[0].shape for view in views):
            raise InputError("the transform's results are not tensors of one shape; expected one that returns [3, height, width]")
        return torch.stack(views)


def whole(name: str, value: Any, low: int, high: int) -> int:
    """An argument as an integer of a range; accepts numpy's integers."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise InputError(f"{name} = {value!r} is not allowed; expected an integer from {low} to {high}")
    return number

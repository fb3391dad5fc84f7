"""Groups of views with their targets for torch.utils.data.DataLoader."""
import numpy as np
import torch

from .cache import NO_LABEL, Cache, Track, own_share
from .container import CacheError
from .views import Views


class VitrineDataset(torch.utils.data.Dataset):
    """One pass of a cache; an item is a group, so give the loader `batch_size=None`:

        pictures        uint8 [group, 3, size, size]; with `normalise` float32 (value / 255 - mean) / deviation
        labels          int64 [group], -1: none (cross_entropy's ignore_index can be that)
        partner_labels  int64 [group], of the view that is mixed in
        own_share       float32 [group], the share of `labels`; the rest is the partners'
        targets         {track's name: float32 [group, shape...]}

    `images`: the folder that the cache was made from; `unlabelled`: that of its further images without labels, where
    there are any. `cache`: a Cache or its directory. `tracks`: names or Tracks.
    `size`: side of the pictures, the teacher's if not given. `normalise`: (mean, deviation), three numbers each, of
    colours in 0..1.
    With transform tracks and several workers start Python with OPENBLAS_NUM_THREADS=1: a worker is one core's work.
    The last group of a pass is filled up with views of its first images, so that all groups are equally large."""

    def __init__(self, images, cache, tracks, pass_=0, size=None, normalise=None,
                 unlabelled=None):
        self.cache = cache if isinstance(cache, Cache) else Cache(cache)
        self.tracks = [t if isinstance(t, Track) else self.cache.track(t) for t in tracks]
        self.views, self.pass_ = Views(images, self.cache, size, unlabelled), pass_
        self.normalise = normalise
        for what, passes in [("recipes", self.cache.recipe_passes), *((t.name, t.passes) for t in self.tracks)]:
            if pass_ not in passes:
                raise CacheError(f"{self.cache.directory}: pass {pass_} of {what} is not complete; there are {passes}")

    def __len__(self):
        return self.cache.plan.groups_per_pass

    def __getitem__(self, group):
        if not 0 <= group < len(self):
            raise IndexError(group)
        recipes = self.cache.recipes(self.pass_, group)
        pictures = torch.from_numpy(self.views.read(self.pass_, group)).permute(0, 3, 1, 2).contiguous()
        if self.normalise:
            mean, deviation = (torch.tensor(three, dtype=torch.float32).reshape(1, 3, 1, 1) for three in self.normalise)
            pictures = (pictures / 255 - mean) / deviation
        labels = recipes["label"].astype(np.int64)
        labels[labels == NO_LABEL] = -1
        return {"pictures": pictures, "labels": torch.from_numpy(labels),
                "partner_labels": torch.from_numpy(labels[recipes["partner"]]),
                "own_share": torch.from_numpy(own_share(recipes)),
                "targets": {t.name: torch.from_numpy(t.read(self.pass_, group)) for t in self.tracks}}

"""Groups of views with their targets for torch.utils.data.DataLoader, and the loss for a teacher's largest logits."""
import math

import numpy as np
import torch

from .cache import NO_LABEL, Cache, Track, left_out, own_share
from .container import CacheError
from .views import Views


class VitrineDataset(torch.utils.data.Dataset):
    """One pass of a cache; an item is a group, so give the loader `batch_size=None`:

        pictures        uint8 [group, 3, size, size]; with `normalise` float32 (value / 255 - mean) / deviation
        labels          int64 [group], -1: none (cross_entropy's ignore_index can be that)
        partner_labels  int64 [group], of the view that is mixed in
        own_share       float32 [group], the share of `labels`; the rest is the partners'
        left_out        bool [group]: views whose pictures could not be read when the targets were made. They are black,
                        have no labels and blank targets: leave them out of every loss
        targets         {track's name: float32 [group, shape...]}

    A topk track has k of K logits, and the mass of the others at a few temperatures. It comes as all K, the others equal
    in the mass that they have at the first of its temperatures: right for a loss at that one and no other. With `kept` it
    comes as it is stored, for topk_kl_divergence():

        values          float32 [group, k], the largest first
        indices         int64 [group, k], their classes
        tails           {temperature: float32 [group]}, log sum exp(logit / temperature) over the other classes

    `images`: the folder that the cache was made from; `unlabelled`: that of its further images without labels, where
    there are any. `cache`: a Cache or its directory. `tracks`: names or Tracks.
    `size`: side of the pictures, the teacher's if not given. `normalise`: (mean, deviation), three numbers each, of
    colours in 0..1.
    With `coefficients` a transform track comes as read_coefficients() gives it: a worker is spared the largest part of
    decoding, a product that a GPU makes in no time (`track.basis`), or that a loss can do without.
    With transform tracks and several workers start Python with OPENBLAS_NUM_THREADS=1: a worker is one core's work.
    The last group of a pass is filled up with views of its first images, so that all groups are equally large."""

    def __init__(self, images, cache, tracks, pass_=0, size=None, normalise=None,
                 unlabelled=None, kept=False, coefficients=False):
        self.cache = cache if isinstance(cache, Cache) else Cache(cache)
        self.tracks = [t if isinstance(t, Track) else self.cache.track(t) for t in tracks]
        self.views, self.pass_ = Views(images, self.cache, size, unlabelled), pass_
        self.normalise, self.kept, self.coefficients = normalise, kept, coefficients
        for what, passes in [("recipes", self.cache.recipe_passes), *((t.name, t.passes) for t in self.tracks)]:
            if pass_ not in passes:
                raise CacheError(f"{self.cache.directory}: pass {pass_} of {what} is not complete; there are {passes}")

    def __len__(self):
        return self.cache.plan.groups_per_pass

    def _target(self, track, group):
        if self.coefficients and track.form == "transform":
            return torch.from_numpy(track.read_coefficients(self.pass_, group))
        if not (self.kept and track.form == "topk"):
            return torch.from_numpy(track.read(self.pass_, group))
        values, indices, tails = (torch.from_numpy(np.array(part)) for part in track.read_kept(self.pass_, group))
        return {"values": values, "indices": indices,
                "tails": {t: tails[:, i].contiguous() for i, t in enumerate(track.codec["temperatures"])}}

    def __getitem__(self, group):
        if not 0 <= group < len(self):
            raise IndexError(group)
        recipes = self.cache.recipes(self.pass_, group)
        pictures = torch.from_numpy(self.views.read(self.pass_, group)).permute(0, 3, 1, 2).contiguous()
        if self.normalise:
            mean, deviation = (torch.tensor(three, dtype=torch.float32).reshape(1, 3, 1, 1) for three in self.normalise)
            pictures = (pictures / 255 - mean) / deviation
        labels = recipes["label"].astype(np.int64)
        without = left_out(recipes)
        labels[labels == NO_LABEL] = -1
        labels, partners = (np.where(without, -1, each) for each in (labels, labels[recipes["partner"]]))
        return {"pictures": pictures, "labels": torch.from_numpy(labels),
                "partner_labels": torch.from_numpy(partners),
                "own_share": torch.from_numpy(own_share(recipes)),
                "left_out": torch.from_numpy(without),
                "targets": {t.name: self._target(t, group) for t in self.tracks}}


def topk_kl_divergence(scores, target, temperature):
    """KL(p || q), mean over the batch: p, the teacher's probabilities of its k largest classes and of "any other", from a
    target as VitrineDataset(kept=True) has it; q, the student's of the same k + 1 outcomes, from its scores [N, K]. The
    temperature must be one at which the track has its tails. Without the factor temperature**2."""
    if temperature not in target["tails"]:
        raise ValueError(f"the temperature {temperature} has no tail; there are {', '.join(map(str, target['tails']))}")
    student = (scores if scores.dtype == torch.float64 else scores.float()) / temperature
    everything = student.logsumexp(1, keepdim=True)
    kept = student.gather(1, target["indices"])
    # The others' mass from their own scores: as one less the kept it would vanish in rounding.
    others = student.scatter(1, target["indices"], -math.inf).logsumexp(1, keepdim=True)
    q = torch.cat([kept, others], 1) - everything
    p = torch.cat([target["values"] / temperature, target["tails"][temperature].unsqueeze(1)], 1).log_softmax(1)
    return (p.exp() * (p - q)).sum(1).mean()

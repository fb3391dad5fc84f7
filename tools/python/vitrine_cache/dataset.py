"""Groups of views with their targets for torch.utils.data.DataLoader (torch 2.0 or later), and the loss for a teacher's
largest logits."""
import math
import operator
import warnings

import numpy as np
import torch
from torch.utils.data._utils.collate import default_collate_fn_map

from .cache import NO_LABEL, Cache, Track, left_out, own_share
from .errors import InputError
from .views import Views

NO_TARGET = -100  # cross_entropy()'s default ignore_index


class Group(dict):
    """An item of VitrineDataset. Several are collated by concatenation: DataLoader(data, batch_size=4) gives 4 groups."""


def concatenate(items, *, collate_fn_map=None):
    """Concatenates items of VitrineDataset, or parts of them, along the axis of views."""
    first = items[0]
    if isinstance(first, dict):
        return type(first)((key, concatenate([item[key] for item in items])) for key in first)
    return torch.cat(items)


default_collate_fn_map[Group] = concatenate


class VitrineDataset(torch.utils.data.Dataset):
    """One pass of a cache. An item is a group, as views are mixed within it; a loader with `batch_size=None` gives
    groups, with `batch_size=n` n concatenated groups:

        pictures        uint8 [group, 3, size, size], 0..255; with `normalise` float32 (value / 255 - mean) / std
        labels          int64 [group], -100: none (cross_entropy's ignore_index)
        partner_labels  int64 [group], of the view that is mixed in
        own_share       float32 [group], the share of `labels`; the rest is the partners'
        left_out        bool [group]: views whose pictures could not be read during extraction. They are black, have
                        no labels and blank targets: exclude them from every loss
        targets         {track's name: float32 [group, shape...]}

    If several teachers have tracks of the same name, their keys are "TEACHER.xxxxxxxx/NAME".

    A topk track has k of K logits, and the mass of the others at a few temperatures. By default it is expanded to all
    K, the others sharing their mass at the first temperature equally: correct only for a loss at that temperature. With
    `kept` it is returned as stored, for topk_kl_divergence():

        values          float32 [group, k], the largest first
        indices         int64 [group, k], their classes
        tails           {temperature: float32 [group]}, log sum exp(logit / temperature) over the other classes

    `images`: the folder that the cache was made from; `unlabelled`: the folder of additional unlabelled images, if any.
    `cache`: a Cache or its directory. `tracks`: names ("logits", or "TEACHER/logits") or Tracks. `pass_`: may be set
    later, `data.pass_ = 3` between two epochs; running workers see it, persistent ones too.
    `size`: side of the pictures, the teacher's if not given. `normalise`: (mean, std), three numbers each, of colours in
    0..1.
    With `allow_pictures`, pictures that a different decoder decodes differently than the teacher's are accepted, with a
    warning at the first; `other_pictures` is the number of groups of this pass, over all workers, whose compared
    picture differs. Pictures are compared only at the teacher's size, one per group.
    With `coefficients` a transform track is returned by read_coefficients(): this skips the largest part of decoding, a
    product that a GPU computes quickly (`track.basis`), or that a loss does not need.
    With transform tracks and several workers start Python with OPENBLAS_NUM_THREADS=1, as a worker uses one core.
    The last group of a pass is padded with views of its first images, so that all groups have equal size."""

    def __init__(self, images, cache, tracks, pass_=0, size=None, normalise=None,
                 unlabelled=None, kept=False, coefficients=False, allow_pictures=False):
        self.cache = cache if isinstance(cache, Cache) else Cache(cache)
        self.tracks = self._named(tracks)
        self.views = Views(images, self.cache, size, unlabelled, allow_pictures)
        self.normalise, self.kept, self.coefficients = self._colours(normalise), kept, coefficients
        # In shared memory, as workers have copies of this object: eight bytes of pass_, and a flag per group.
        self._shared = torch.zeros(8 + len(self), dtype=torch.uint8).share_memory_()
        self._warned = False
        self.pass_ = pass_

    def _named(self, tracks):
        """{key in an item's targets: Track}."""
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
    def _colours(normalise):
        """Mean and std, float32 [1, 3, 1, 1] each, or None."""
        if normalise is None:
            return None
        try:
            numbers = np.array([[float(x) for x in three] for three in normalise])
        except (TypeError, ValueError):
            numbers = np.zeros(0)
        if numbers.shape != (2, 3) or not np.isfinite(numbers).all() or (numbers < 0).any() or (numbers > 1).any() or \
                (numbers[1] == 0).any():
            raise InputError(f"normalise = {normalise!r} is not allowed; expected (mean, std), three numbers each, of colours "
                             "in 0..1")
        return tuple(torch.tensor(three, dtype=torch.float32).reshape(1, 3, 1, 1) for three in numbers)

    @property
    def pass_(self):
        return int(self._shared[:8].view(torch.int64))

    @pass_.setter
    def pass_(self, number):
        number = operator.index(number)
        for what, passes in [("recipes", self.cache.recipe_passes), *((name, t.passes) for name, t in self.tracks.items())]:
            if number not in passes:
                raise InputError(f"{self.cache.directory}: pass {number} of {what} is not complete; there are {passes}")
        self._shared[8:] = 0
        self._shared[:8].view(torch.int64)[0] = number

    @property
    def other_pictures(self):
        return int(self._shared[8:].sum())

    def __len__(self):
        return self.cache.plan.groups_per_pass

    def _target(self, track, pass_, group):
        if self.coefficients and track.encoding == "transform":
            return torch.from_numpy(track.read_coefficients(pass_, group))
        if not (self.kept and track.encoding == "topk"):
            return torch.from_numpy(track.read(pass_, group))
        values, indices, tails = (torch.from_numpy(np.array(part)) for part in track.read_kept(pass_, group))
        return {"values": values, "indices": indices,
                "tails": {t: tails[:, i].contiguous() for i, t in enumerate(track.codec["temperatures"])}}

    def __getitem__(self, group):
        pass_, group = self.pass_, operator.index(group)
        if not 0 <= group < len(self):
            raise IndexError(f"group {group} does not exist; a pass has {len(self)}")
        pixels, recipes, same = self.views.read_with_recipes(pass_, group)
        if not same:
            self._shared[8 + group] = 1
            if not self._warned:
                self._warned = True
                warnings.warn(f"{self.views.root}: pictures have other pixels than the teacher saw, first in pass {pass_}, "
                              f"group {group}; allowed by allow_pictures", stacklevel=2)
        pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        if self.normalise:
            mean, deviation = self.normalise
            pictures = (pictures / 255 - mean) / deviation
        labels = recipes["label"].astype(np.int64)
        without = left_out(recipes)
        labels[labels == NO_LABEL] = NO_TARGET
        labels, partners = (np.where(without, NO_TARGET, each) for each in (labels, labels[recipes["partner"]]))
        return Group(pictures=pictures, labels=torch.from_numpy(labels), partner_labels=torch.from_numpy(partners),
                     own_share=torch.from_numpy(own_share(recipes)), left_out=torch.from_numpy(without),
                     targets=Group((name, self._target(t, pass_, group)) for name, t in self.tracks.items()))


def topk_kl_divergence(scores, target, temperature):
    """KL(p || q), mean over the batch: p, the teacher's probabilities of its k largest classes and of "any other", from
    a target of VitrineDataset(kept=True); q, the student's of the same k + 1 outcomes, from its scores [N, K]. The
    temperature must be one of the track's. Without the factor temperature**2."""
    if temperature not in target["tails"]:
        raise ValueError(f"the temperature {temperature} has no tail; there are {', '.join(map(str, target['tails']))}")
    student = (scores if scores.dtype == torch.float64 else scores.float()) / temperature
    everything = student.logsumexp(1, keepdim=True)
    kept = student.gather(1, target["indices"])
    # The others' mass from their scores, as 1 minus the kept classes' mass would cancel.
    others = student.scatter(1, target["indices"], -math.inf).logsumexp(1, keepdim=True)
    q = torch.cat([kept, others], 1) - everything
    p = torch.cat([target["values"] / temperature, target["tails"][temperature].unsqueeze(1)], 1).log_softmax(1)
    return torch.where(p == -math.inf, 0.0, p.exp() * (p - q)).sum(1).mean()  # 0 log 0 is 0

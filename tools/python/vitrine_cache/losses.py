"""Losses for a student, of vitrine-train's definitions (train/losses). Computed in float32, whatever the autocast mode;
float64 stays float64. No gradient to the teacher.

    loss = 0.9 * losses.kd(scores, batch.targets["logits"], temperature=4.0) + 0.1 * losses.mixed_cross_entropy(scores, batch)
"""
from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, mse_loss

from .batch import Batch, TopK
from .errors import InputError


def _full(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def kd(scores: Tensor, target: Tensor | TopK, temperature: float = 4.0) -> Tensor:
    """temperature**2 * KL(teacher || student), mean over the batch (Hinton, Vinyals & Dean 2015). `scores`: the student's,
    [N, K]; `target`: the teacher's logits [N, K], or a TopK, for which both sides are compared on its k classes and "any
    other"; the temperature must then be one of the track's.

    >>> scores = torch.tensor([[1.0, 2.0, 3.0]])
    >>> round(kd(scores, torch.tensor([[3.0, 2.0, 1.0]]), 1.0).item(), 4), kd(scores, scores + 5).item()
    (1.1504, 0.0)
    """
    if not temperature > 0:
        raise InputError(f"temperature = {temperature} is not allowed; expected a number above 0")
    with torch.autocast(scores.device.type, enabled=False):
        if isinstance(target, TopK):
            return temperature**2 * _topk_kl(_full(scores) / temperature, target, temperature)
        if scores.shape != target.shape:
            raise InputError(f"scores of shape {list(scores.shape)} do not fit logits of shape {list(target.shape)}; expected a "
                             "student with the teacher's classes")
        student, teacher = (log_softmax(_full(x) / temperature, 1) for x in (scores, target.detach()))
        return temperature**2 * (teacher.exp() * (teacher - student)).sum(1).mean()


def _topk_kl(student: Tensor, target: TopK, temperature: float) -> Tensor:
    """KL over k + 1 outcomes; `student`: scores / temperature."""
    if student.dim() != 2 or student.shape[1] != target.classes:
        raise InputError(f"scores of shape {list(student.shape)} do not fit a teacher of {target.classes} classes; expected a "
                         "student with the teacher's classes")
    everything = student.logsumexp(1, keepdim=True)
    kept = student.gather(1, target.indices)
    # The others' mass from their scores, as 1 minus the kept classes' mass would cancel.
    others = student.scatter(1, target.indices, -math.inf).logsumexp(1, keepdim=True)
    q = torch.cat([kept, others], 1) - everything
    p = torch.cat([target.values / temperature, target.tail(temperature).unsqueeze(1)], 1).log_softmax(1)
    return torch.where(p == -math.inf, 0.0, p.exp() * (p - q)).sum(1).mean()  # 0 log 0 is 0


def mixed_cross_entropy(scores: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """lam * CE(scores, labels) + (1 - lam) * CE(scores, mixed_labels), mean over all views of the batch. An absent label
    adds nothing. Smoothing as in torch.

    >>> batch = Batch(torch.empty(0), torch.tensor([0, -100]), torch.tensor([1, 0]), torch.tensor([0.25, 1.0]),
    ...               torch.zeros(2, dtype=torch.bool), {})
    >>> round(mixed_cross_entropy(torch.zeros(2, 2), batch).item(), 4)    # half of log 2
    0.3466
    """
    with torch.autocast(scores.device.type, enabled=False):
        log_p = log_softmax(_full(scores), 1)
        lam = batch.lam.to(log_p.dtype)
        total = torch.zeros((), dtype=log_p.dtype, device=log_p.device)
        for share, labels in ((lam, batch.labels), (1 - lam, batch.mixed_labels)):
            known = labels >= 0
            hard = log_p.gather(1, labels.clamp_min(0).unsqueeze(1)).squeeze(1)
            each = (1 - label_smoothing) * hard + label_smoothing * log_p.mean(1)
            total = total - (share * known * each).sum()
        return total / max(1, len(log_p))


def feature_mse(student: Tensor, target: Tensor) -> Tensor:
    """The mean squared difference of two feature maps of one shape [N, C, H, W]."""
    if student.shape != target.shape:
        raise InputError(f"features of shape {list(student.shape)} do not fit a target of shape {list(target.shape)}; expected "
                         "the student's mapped to the teacher's channels and grid (a 1x1 convolution, adaptive_avg_pool2d)")
    with torch.autocast(student.device.type, enabled=False):
        return mse_loss(_full(student), _full(target.detach()))

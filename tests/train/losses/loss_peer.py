"""Compares the losses and their gradients with the formulas, written out image by image in double precision."""
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools/python"))
from vitrine_cache import Batch, TopK  # noqa: E402
from vitrine_cache.losses import feature_mse, kd, mixed_cross_entropy  # noqa: E402

LIMIT = 1e-5
TAU = 3.0
N, K, C, H, W, HEADS = 6, 9, 5, 4, 3, 2
torch.manual_seed(11)

given = {
    "student": 3 * torch.randn(N, K),
    "teacher": 4 * torch.randn(N, K),
    "label": torch.tensor([0, 3, 8, 2, 2, 5]),
    "partner_label": torch.tensor([4, 3, 1, 2, 7, 0]),
    "some_label": torch.tensor([0, -1, -1, 2, 2, -1]),  # -1: none
    "some_partner_label": torch.tensor([-1, -1, 1, 2, 7, -1]),
    "own_share": torch.tensor([0.25, 1.0, 0.6, 0.5, 0.9, 1.0]),
    "wide_teacher": 4 * torch.randn(N, 12),
    "student_of": torch.tensor([3, -1, 0, 0, 8, -1, 3, 0, 5, -1, -1, 8]),  # of each of its classes; -1: none
    "features": torch.randn(N, C, H, W),
    "target": torch.randn(N, C, H, W),
    "attention": torch.rand(N, HEADS, 2 * H, 2 * W) / 50,
    "hidden": torch.randn(7, C * H * W) / 4,
    "head": torch.randn(K, 7),
}
# What a topk track keeps of the teacher: three of its classes, and the mass of the others.
given["kept_values"], given["kept_indices"] = given["teacher"].topk(3, 1)
given["kept_tail"] = torch.stack([torch.stack([x / TAU for k, x in enumerate(row) if k not in kept]).logsumexp(0)
                                  for row, kept in zip(given["teacher"], given["kept_indices"].tolist())])
d = {name: t.double() if t.is_floating_point() else t for name, t in given.items()}


def probabilities(logits, tau=1.0):
    powers = torch.exp((logits - logits.max().detach()) / tau)
    return powers / powers.sum()


def both_labels(loss_of_image, which="", without=lambda i: 0.0):
    """The mean over images of share·L(label) + (1 − share)·L(partner); `without` is L where there is no label."""
    total = 0.0
    for i in range(N):
        share = d["own_share"][i]
        for weight, label in ((share, d[which + "label"][i]), (1 - share, d[which + "partner_label"][i])):
            total = total + weight * (loss_of_image(i, int(label)) if label >= 0 else without(i))
    return total / N


def kl(x):
    total = 0.0
    for i in range(N):
        p, q = probabilities(d["teacher"][i], TAU), probabilities(x[i], TAU)
        total = total + sum(p[k] * (p[k].log() - q[k].log()) for k in range(K))
    return total / N


def kl_mapped(x):
    """The teacher's probabilities, summed per class of the student and renormalised over the mapped classes."""
    known = sorted({int(s) for s in d["student_of"] if s >= 0})
    total = 0.0
    for i in range(N):
        wide = probabilities(d["wide_teacher"][i])
        summed = torch.stack([wide[d["student_of"] == s].sum() for s in known])
        softened = (summed / summed.sum()) ** (1 / TAU)
        p, q = softened / softened.sum(), probabilities(x[i][known], TAU)
        total = total + (p * (p.log() - q.log())).sum()
    return total / N


def kl_kept(x):
    """Of k + 1 outcomes: each of the kept classes, and any other."""
    def outcomes(logits, kept):
        every = probabilities(logits, TAU)
        return torch.stack([*(every[k] for k in kept), sum(every[k] for k in range(K) if k not in kept)])

    total = 0.0
    for i, kept in enumerate(d["kept_indices"].tolist()):
        p, q = outcomes(d["teacher"][i], kept), outcomes(x[i], kept)
        total = total + (p * (p.log() - q.log())).sum()
    return total / N


# The functions for PyTorch users of a cache: tools/python/vitrine_cache/losses.py.


def kl_in_python(x):
    return kd(x, d["teacher"], TAU) / TAU**2


def kl_kept_in_python(x):
    target = TopK(d["kept_values"], d["kept_indices"], {1: d["kept_tail"] - 1, TAU: d["kept_tail"]}, K)
    return kd(x, target, TAU) / TAU**2


def ce_in_python(x, which=""):
    labels, mixed = (torch.where(d[which + name] < 0, -100, d[which + name]) for name in ("label", "partner_label"))
    batch = Batch(torch.empty(0), labels, mixed, d["own_share"], torch.zeros(N, dtype=torch.bool), {})
    return mixed_cross_entropy(x, batch, 0.1)


def ce(x, smoothing=0.1, which=""):
    def image(i, label):
        target = torch.full((K,), smoothing / K, dtype=torch.double)
        target[label] += 1 - smoothing
        return -(target * probabilities(x[i]).log()).sum()

    return both_labels(image, which)


def dkd(x, which=""):
    def image(i, label):
        p, q = probabilities(d["teacher"][i], TAU), probabilities(x[i], TAU)
        a, b = p[label], q[label]
        target = a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log()
        others = 0.0
        for k in range(K):
            if k != label:
                others = others + p[k] / (1 - a) * ((p[k] / (1 - a)) / (q[k] / (1 - b))).log()
        return 1.5 * target + 6 * others

    def without(i):
        p, q = probabilities(d["teacher"][i], TAU), probabilities(x[i], TAU)
        return sum(p[k] * (p[k] / q[k]).log() for k in range(K))

    return both_labels(image, which, without)


def pearson(a, b):
    n = len(a)
    covariance = (a * b).sum() / n - a.sum() / n * b.sum() / n
    return covariance / torch.sqrt(((a * a).sum() / n - (a.sum() / n) ** 2) * ((b * b).sum() / n - (b.sum() / n) ** 2))


def dist(x):
    student = torch.stack([probabilities(x[i], TAU) for i in range(N)])
    teacher = torch.stack([probabilities(d["teacher"][i], TAU) for i in range(N)])
    between = sum(1 - pearson(student[i], teacher[i]) for i in range(N)) / N
    within = sum(1 - pearson(student[:, k], teacher[:, k]) for k in range(K)) / K
    return 2 * between + 0.5 * within


def ofa(x, which=""):
    def without(i):
        p, q = probabilities(d["teacher"][i], TAU), probabilities(x[i], TAU)
        return -sum(p[k] * q[k].log() for k in range(K))

    def image(i, label):
        p, q = probabilities(d["teacher"][i], TAU), probabilities(x[i], TAU)
        total = -((1 + p[label]) ** 1.4 - 1) * q[label].log()
        for k in range(K):
            if k != label:
                total = total - p[k] * q[k].log()
        return total

    return both_labels(image, which, without)


def feature_plain(x):
    return ((x - d["target"]) ** 2).sum() / x.numel()


def unit(v):
    return v / torch.sqrt((v * v).sum())


def feature_normalised(x):
    return sum(((unit(x[i]) - unit(d["target"][i])) ** 2).sum() for i in range(N)) / N


def feature_cosine(x):
    total = 0.0
    for i in range(N):
        for r in range(H):
            for c in range(W):
                total = total + 1 - (unit(x[i, :, r, c]) * unit(d["target"][i, :, r, c])).sum()
    return total / (N * H * W)


def teacher_map(i):
    """The heads' mean, each position the mean of its 2×2 block."""
    mean = d["attention"][i].mean(0)
    return torch.stack([torch.stack([mean[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean() for c in range(W)]) for r in range(H)])


def compared(maps, scaling):
    total = 0.0
    for i in range(N):
        difference = unit(maps[i]) - unit(teacher_map(i))
        squares = (difference * difference).sum()
        total = total + (squares / (H * W) if scaling == "code" else torch.sqrt(squares) / 2)
    return total / N


def position_weights(i):
    """A share of 0.7 follows attention, normalised to mean 1 over positions."""
    a = teacher_map(i)
    return 0.3 + 0.7 * a / (a.sum() / (H * W))


def weighted_plain(x):
    total = 0.0
    for i in range(N):
        for c in range(x.shape[1]):
            total = total + (position_weights(i) * (x[i, c] - d["target"][i, c]) ** 2).sum()
    return total / x.numel()


def weighted_normalised(x):
    def inner(a, b, w):
        return sum((w * a[c] * b[c]).sum() for c in range(a.shape[0]))

    total = 0.0
    for i in range(N):
        s, t, w = x[i], d["target"][i], position_weights(i)
        total = total + 2 - 2 * inner(s, t, w) / torch.sqrt(inner(s, s, w) * inner(t, t, w))
    return total / N


def weighted_cosine(x):
    total = 0.0
    for i in range(N):
        w = position_weights(i)
        for r in range(H):
            for c in range(W):
                total = total + w[r, c] * (1 - (unit(x[i, :, r, c]) * unit(d["target"][i, :, r, c])).sum())
    return total / (N * H * W)


def activation(scaling):
    return lambda x: compared([(x[i] ** 2).sum(0) / C for i in range(N)], scaling)


def logits_of(x):
    return torch.stack([d["head"] @ torch.tanh(d["hidden"] @ x[i].reshape(-1)) for i in range(N)])


def guidance(scaling, whose):
    def loss(x):
        maps = []
        for i in range(N):
            # The gradient of the score, by the chain rule on paper.
            hidden = torch.tanh(d["hidden"] @ x[i].reshape(-1))
            if whose == "teacher":
                weights = probabilities(d["teacher"][i])
            else:
                share = d["own_share"][i]
                weights = torch.zeros(K, dtype=torch.double)
                weights[int(d["label"][i])] += share
                weights[int(d["partner_label"][i])] += 1 - share
            gradient = (d["hidden"].T @ ((1 - hidden**2) * (d["head"].T @ weights))).reshape(C, H, W)
            total = sum(gradient[c].mean() * x[i, c] for c in range(C))
            maps.append(torch.where(total > 0, total, torch.zeros_like(total)))
        return compared(maps, scaling)

    return loss


def scaled_gradient(x):
    return ce_of_logits(logits_of(x))


def ce_of_logits(logits):
    return both_labels(lambda i, label: -probabilities(logits[i])[label].log())


losses = {
    "kl": ("student", kl, kl_in_python),
    "kl.kept": ("student", kl_kept, kl_kept_in_python),
    "ce": ("student", ce, ce_in_python),
    "dkd": ("student", dkd),
    "dist": ("student", dist),
    "ofa": ("student", ofa),
    "kl.mapped": ("student", kl_mapped),
    "ce.some": ("student", lambda x: ce(x, which="some_"), lambda x: ce_in_python(x, "some_")),
    "dkd.some": ("student", lambda x: dkd(x, "some_")),
    "ofa.some": ("student", lambda x: ofa(x, "some_")),
    "feature.plain": ("features", feature_plain, lambda x: feature_mse(x, d["target"])),
    "feature.normalised": ("features", feature_normalised),
    "feature.cosine": ("features", feature_cosine),
    "feature.weighted.plain": ("features", weighted_plain),
    "feature.weighted.normalised": ("features", weighted_normalised),
    "feature.weighted.cosine": ("features", weighted_cosine),
    "scaled_gradient": ("features", scaled_gradient),
}
for scaling in ("code", "paper"):
    losses[f"attention.{scaling}"] = ("features", activation(scaling))
    for whose in ("labels", "teacher"):
        losses[f"guidance.{scaling}.{whose}"] = ("features", guidance(scaling, whose))

with tempfile.TemporaryDirectory() as folder:
    paths = [os.path.join(folder, name) for name in ("in.safetensors", "out.safetensors")]
    save_file(given, paths[0])
    subprocess.run([os.path.join(os.environ["VITRINE_BIN"], "peer_values"), "losses", *paths], check=True)
    ours = load_file(paths[1])

for name, (start, formula, *others) in losses.items():
    x = d[start].clone().requires_grad_()
    value = formula(x)
    (gradient,) = torch.autograd.grad(value, x)
    if name == "scaled_gradient":
        for i in range(N):
            relative = teacher_map(i) / teacher_map(i).mean()
            gradient[i] *= 0.3 + 0.7 * relative
    for other in others:
        again = other(x)
        (other_gradient,) = torch.autograd.grad(again, x)
        assert (again - value).abs() < 1e-6 and (other_gradient - gradient).abs().max() < 1e-6, name
    assert gradient.abs().max() > 1e-3, f"{name}: the gradient says nothing"
    for what, mine, theirs in (("value", ours.pop(f"{name}.value"), value.detach().reshape(1)),
                               ("gradient", ours.pop(f"{name}.gradient"), gradient)):
        assert mine.shape == theirs.shape and mine.dtype == torch.float32, f"{name} {what}: {mine.shape} {mine.dtype}"
        error = (mine.double() - theirs).abs().max().item()
        print(f"{name} {what}: {error:.1e}")
        assert error <= LIMIT, f"{name} {what}: largest difference {error:.3g}, allowed {LIMIT:.3g}"
assert not ours, f"losses that nothing compares: {sorted(ours)}"

"""Compares a plan's recipes with torchvision's RandomResizedCrop and timm's Mixup, distribution by
distribution (two-sample Kolmogorov-Smirnov), and with reference.py, value by value."""

import math
import os
import subprocess
import sys

import numpy as np
import torch
from timm.data.mixup import Mixup, rand_bbox
from torchvision.transforms import RandomResizedCrop

import reference

COUNT = 100_000
RECORD = np.dtype([("image", "<u4"), ("label", "<u4"),
                   ("top", "<i4"), ("left", "<i4"), ("height", "<i4"), ("width", "<i4"),
                   ("flip", "u1"), ("mix", "u1"), ("partner", "<u2"), ("lambda", "<u2"),
                   ("box_top", "<u2"), ("box_left", "<u2"), ("box_bottom", "<u2"), ("box_right", "<u2"),
                   ("reserved", "<u2")])
failures = []


def recipes(height, width, count=COUNT, **settings):
    command = [os.environ["VITRINE_BIN"] + "/print_recipes", str(height), str(width), str(count)]
    command += [f"{key}={value}" for key, value in settings.items()]
    views = np.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, RECORD)
    assert len(views) >= count and not views["reserved"].any()
    return views[:count]


def distance(a, b):
    """The statistic over its critical value at a significance of 1e-6: below 1 the samples may be of one distribution.
    Ties only make it slower to reject."""
    a, b = np.sort(a), np.sort(b)
    points = np.concatenate([a, b])
    d = np.abs(np.searchsorted(a, points, "right") / len(a) - np.searchsorted(b, points, "right") / len(b)).max()
    return d / (math.sqrt(-math.log(1e-6 / 2) / 2) * math.sqrt((len(a) + len(b)) / (len(a) * len(b))))


def same(name, ours, theirs):
    d = distance(np.asarray(ours, np.float64), np.asarray(theirs, np.float64))
    print(f"{name:44s} {d:6.3f} of the critical distance, {len(ours)} against {len(theirs)}")
    if not d < 1:
        failures.append(name)


def crop_features(top, left, height, width, size):
    return {"area share": height * width / (size[0] * size[1]), "log ratio": np.log(width / height),
            "top share": top / np.maximum(size[0] - height, 1), "left share": left / np.maximum(size[1] - width, 1),
            "height": height, "width": width}


def check_crops(size, count):
    ours = recipes(*size)
    picture = torch.empty(1, *size)
    theirs = np.array([RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(count)])
    features = crop_features(ours["top"], ours["left"], ours["height"], ours["width"], size)
    for name, values in crop_features(*theirs.T, size).items():
        same(f"crop of {size[0]}x{size[1]}: {name}", features[name], values)
    same(f"crop of {size[0]}x{size[1]}: flip", ours["flip"], np.arange(COUNT) % 2)


def timm_views(size, probability, switch, alphas):
    """Mix, λ in 1/65536 and box of COUNT views as timm draws them; mixing without effect counts as none."""
    mixup = Mixup(mixup_alpha=alphas[0], cutmix_alpha=alphas[1], prob=probability, switch_prob=switch, mode="elem")
    shares, cuts = mixup._params_per_elem(COUNT)
    out = np.zeros(COUNT, RECORD)
    for view, share, cut in zip(out, shares, cuts):
        box = (0, 0, 0, 0)
        if share == 1:
            continue
        if cut:
            box = rand_bbox((3, size, size), share)
            share = 1 - (box[1] - box[0]) * (box[3] - box[2]) / size**2
        if round(float(share) * 65536) < 65536:
            view["mix"], view["lambda"] = 2 if cut else 1, round(float(share) * 65536)
            view["box_top"], view["box_bottom"], view["box_left"], view["box_right"] = box
    return out


def check_mixing(size, probability, switch, alphas):
    ours = recipes(100, 100, image_size=size, mix_probability=probability, switch_probability=switch,
                   mixup_alpha=alphas[0], cutmix_alpha=alphas[1])
    theirs = timm_views(size, probability, switch, alphas)
    where = f"mix at {size}, {probability}, {switch}, {alphas}"
    same(f"{where}: mode", ours["mix"], theirs["mix"])
    for mode, label in ((1, "MixUp"), (2, "CutMix")):
        a, b = ours[ours["mix"] == mode], theirs[theirs["mix"] == mode]
        if not len(a) and not len(b):
            continue
        same(f"{where}: {label} lambda", a["lambda"], b["lambda"])
        if mode == 2:
            for edge in ("box_top", "box_left", "box_bottom", "box_right"):
                same(f"{where}: {edge}", a[edge], b[edge])
            heights = [x["box_bottom"].astype(int) - x["box_top"] for x in (a, b)]
            widths = [x["box_right"].astype(int) - x["box_left"] for x in (a, b)]
            same(f"{where}: box height", *heights)  # even where the border does not cut it
            same(f"{where}: box width", *widths)
            same(f"{where}: box area", *[h * w for h, w in zip(heights, widths)])


def check_values():
    """Each value, computed from the headers' description alone."""
    seed, which, count, group, size = 1234567890123456789, 3, 384, 64, 96
    ours = recipes(120, 90, count, seed=seed, image_size=size, mix_probability=0.9)
    order = reference.pass_order(seed, which, count)
    for position, view in enumerate(ours):
        expected = (order[position], 0, *reference.crop(seed, which, position, 120, 90),
                    *reference.mix(seed, which, position, group, size, probability=0.9), 0)
        if view.item() != expected:
            failures.append(f"view {position}: {view.item()} instead of {expected}")
            return
    print(f"{count} views equal reference.py's, value by value")


def check_power():
    """The statistic must detect a slightly different crop, and boxes clipped at another size."""
    plain = recipes(500, 375)
    other = recipes(500, 375, min_area=0.10)
    if not distance(plain["height"] * plain["width"], other["height"] * other["width"]) > 1:
        failures.append("a changed smallest area went unseen")
    other = recipes(500, 375, mixup_alpha=0.9)
    if not distance(plain["lambda"][plain["mix"] == 1], other["lambda"][other["mix"] == 1]) > 1:
        failures.append("a changed alpha went unseen")


np.random.seed(11)
torch.manual_seed(11)
check_values()
check_power()
check_crops((500, 375), 30_000)
check_crops((48, 64), 20_000)
check_crops((40, 200), 20_000)  # many views take the central crop
check_mixing(224, 1.0, 0.5, (0.8, 1.0))
check_mixing(33, 0.5, 0.3, (0.2, 0.7))
check_mixing(64, 0.7, 0.5, (0.4, 0.0))
check_mixing(64, 1.0, 0.5, (0.0, 1.0))
for failure in failures:
    print("FAILED", failure)
sys.exit(bool(failures))

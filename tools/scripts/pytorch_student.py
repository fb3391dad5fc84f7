#!/usr/bin/env python3
"""Trains one student twice from a cache, by KL to the teacher's logits alone: with vitrine-train, and as a PyTorch user would, a torchvision
ResNet in a loop of timm's parts over VitrineDataset. Same start, views, order, batch, optimizer, schedule and average; prints both top-1.

    pytorch_student.py --cache CACHE --images IMAGES --test TEST --out DIR [--epochs N] [--batch N] [--size N] [--lr X]
                       [--weight-decay X] [--temperature X] [--ema DECAY] [--seed N] [--arch resnet18] [--vitrine-train PROGRAM]

IMAGES is the folder that the cache was made from, TEST another of the same classes. --batch is a multiple of the cache's group. FP32 on the
CPU, one thread each. DIR gets the run of vitrine-train, and pytorch.pth.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import safetensors.torch
import timm.data
import timm.optim
import timm.scheduler
import timm.utils
import torch
import torchvision

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/python"))
from vitrine_cache import Cache, CacheError, VitrineDataset, loader, losses  # noqa: E402

CROP_PCT = 0.9  # vitrine-train's default


def fail(*words):
    print("pytorch_student:", *words, file=sys.stderr)
    sys.exit(2)


def in_vitrine(options, start):
    """vitrine-train's top-1 on TEST."""
    run = options.out / "vitrine"
    settings = {
        "images": options.images, "test": options.test, "output": run, "restart": "true", "model.arch": options.arch,
        "model.weights": start, "targets.source": "cache", "targets.cache": options.cache, "targets.features": "", "targets.attention": "",
        "batch": options.batch, "size": options.size, "seed": options.seed, "threads": 1, "workers": 1, "precision": "fp32",
        "loss.temperature": options.temperature, "schedule.align.epochs": 0, "schedule.joint.epochs": options.epochs,
        "schedule.fine_tune.epochs": 0, "schedule.joint.lr": options.lr, "schedule.joint.label_term": "false", "schedule.joint.r_from": 1,
        "schedule.joint.r_to": 1, "optimizer.weight_decay": options.weight_decay, "ema.decay": options.ema, "ema.warm_up": "false",
        **{f"augment.{name}": 0 for name in ("brightness", "contrast", "saturation", "hue", "erase_probability")}}
    configuration = options.out / "train.toml"
    configuration.write_text("", encoding="utf-8")
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    made = subprocess.run([options.vitrine_train, configuration, *words], capture_output=True, text=True)
    if made.returncode != 0:
        fail("vitrine-train failed:\n" + made.stderr)
    return json.loads((run / "summary.json").read_text(encoding="utf-8"))["top1"]


def in_pytorch(options, start):
    """The same with PyTorch, torchvision and timm."""
    data = VitrineDataset(options.cache, options.images, ["logits"], batch_size=options.batch, size=options.size, seed=options.seed)
    columns = data.cache.class_columns("logits")  # the teacher may have other classes, or another order
    student = getattr(torchvision.models, options.arch)(num_classes=len(data.cache.classes))
    student.load_state_dict(safetensors.torch.load_file(start), strict=False)  # without BatchNorm's counters of batches
    student.train().to(memory_format=torch.channels_last)
    optimizer = timm.optim.create_optimizer_v2(student, opt="sgd", lr=options.lr, momentum=0.9, weight_decay=options.weight_decay)
    steps = options.epochs * len(data)
    scheduler = timm.scheduler.CosineLRScheduler(optimizer, t_initial=steps, t_in_epochs=False)
    average = timm.utils.ModelEmaV3(student, decay=options.ema) if options.ema > 0 else None
    meter, step, batches = timm.utils.AverageMeter(), 0, loader(data)
    while batches.epoch < options.epochs:
        for batch in batches:
            scheduler.step_update(step)
            batch = batch.to("cpu", channels_last=True)
            loss = losses.kd(student(batch.normalised()), batch.targets["logits"][:, columns], options.temperature)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if average is not None:
                average.update(student, step)
            meter.update(loss.item(), len(batch))
        print(f"pytorch: epoch {batches.epoch} of {options.epochs}, KL {meter.avg:.4f}", file=sys.stderr)
        meter.reset()
    final = (average.module if average is not None else student).eval()
    torch.save(final.state_dict(), options.out / "pytorch.pth")
    return top1(final, options.test, data.views.size, data.cache.classes)


@torch.no_grad()
def top1(model, folder, size, classes):
    """Of clean crops, with timm's transform."""
    transform = timm.data.create_transform(size, crop_pct=CROP_PCT, interpolation="bicubic")
    pictures = torchvision.datasets.ImageFolder(folder, transform)
    if unknown := set(pictures.classes) - set(classes):
        fail(f"{folder}: the class folder {min(unknown)} is not among the cache's classes")
    numbers = torch.tensor([classes.index(name) for name in pictures.classes])
    meter = timm.utils.AverageMeter()
    for x, labels in torch.utils.data.DataLoader(pictures, 64):
        share, = timm.utils.accuracy(model(x.to(memory_format=torch.channels_last)), numbers[labels])
        meter.update(share.item() / 100, len(x))
    return meter.avg


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--cache", "--images", "--test", "--out"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arch", default="resnet18", choices=["resnet18", "resnet34", "resnet50"])
    parser.add_argument("--vitrine-train", default=ROOT / "build/bin/vitrine-train")
    options = parser.parse_args()
    if options.epochs < 1:
        fail(f"--epochs {options.epochs} is not allowed; expected at least 1")
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    try:
        plan = Cache(options.cache).plan
        options.batch, options.size = options.batch or plan.group, options.size or plan.image_size
        options.out.mkdir(parents=True, exist_ok=True)
        start = options.out / "start.safetensors"
        classes = len(Cache(options.cache).classes)
        safetensors.torch.save_file(getattr(torchvision.models, options.arch)(num_classes=classes).state_dict(), start)
        theirs = in_pytorch(options, start)
    except CacheError as error:
        fail(error)
    ours = in_vitrine(options, start)
    print(f"top-1 after {options.epochs} epochs of KL alone: vitrine-train {100 * ours:.2f} %, PyTorch and timm {100 * theirs:.2f} %")


if __name__ == "__main__":
    main()

"""As a PyTorch user would: a torchvision ResNet and a plain loop over VitrineDataset learn what vitrine-train learns from the
same cache, and timm's training utilities run over it."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import timm
import timm.loss
import timm.optim
import timm.scheduler
import timm.utils
import torch
import torchvision
from python_views_test import extract
from reader_support import BIN, check
from safetensors.torch import load_file, save_file
from vitrine_cache import VitrineDataset, loader, losses

EPOCHS, BATCH, SIZE, LR, TAU, SEED = 8, 8, 64, 0.0005, 4.0, 3


def vitrine_train(folder, weights, seed):
    """The loss of each step of a run from these weights, by KL alone."""
    settings = {
        "images": folder / "images", "output": folder / f"run{seed}", "model.weights": weights, "targets.source": "cache",
        "targets.cache": folder / "sure", "batch": BATCH, "size": SIZE, "seed": seed, "threads": 1, "workers": 1, "log_every": 1,
        "loss.temperature": TAU, "schedule.align.epochs": 0, "schedule.joint.epochs": EPOCHS, "schedule.fine_tune.epochs": 0,
        "schedule.joint.lr": LR, "schedule.joint.schedule": "constant", "schedule.joint.label_term": "false",
        "schedule.joint.r_from": 1, "schedule.joint.r_to": 1, "optimizer.weight_decay": 0,
        **{f"augment.{name}": 0 for name in ("brightness", "contrast", "saturation", "hue", "erase_probability")}}
    (folder / "train.toml").write_text("")
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run = subprocess.run([BIN / "vitrine-train", folder / "train.toml", *words], capture_output=True, text=True)
    check(run.returncode == 0, run.stderr)
    events = [json.loads(line) for line in (settings["output"] / "metrics.jsonl").read_text().splitlines()]
    return np.array([event["loss"] for event in events if event["event"] == "step"])


def plain_loop(folder, weights, seed, epochs=EPOCHS):
    """The same in Python."""
    data = VitrineDataset(folder / "sure", folder / "images", ["logits"], batch_size=BATCH, size=SIZE, seed=seed)
    student = torchvision.models.resnet18(num_classes=3).train()
    student.load_state_dict(load_file(weights), strict=False)  # without BatchNorm's counters of batches
    sgd = torch.optim.SGD(student.parameters(), LR, momentum=0.9, nesterov=True)
    batches, curve = loader(data), []
    while batches.epoch < epochs:
        for batch in batches:
            loss = losses.kd(student(batch.normalised()), batch.targets["logits"], TAU)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            curve.append(loss.item())
    return np.array(curve)


def extract_from_sure_teacher(folder):
    """A second cache, of a teacher whose logits differ enough between classes and views to be learnt."""
    weights = load_file(folder / "teacher.safetensors")
    weights["head.weight"] *= 60
    save_file(weights, folder / "sure.safetensors")
    words = [f"cache={folder}/sure", f"teacher.weights={folder}/sure.safetensors"]
    run = subprocess.run([BIN / "vitrine-extract", folder / "extract.toml", *(part for word in words for part in ("--set", word))],
                         capture_output=True, text=True)
    check(run.returncode == 0, run.stderr)


def test_against_vitrine_train(folder):
    """Step by step the same losses, as far as rounding lets two runs agree: the same first loss to float32's precision, then at
    most ten times less at each step, as BatchNorm over few values amplifies rounding (the plain loop itself, with its images in
    another memory format, drifts from 2e-7 at step 2 to 5e-4 at step 4). These four steps are two epochs, so that passes,
    groups, views, targets, loss and update are the same. After that the curves have the same level."""
    extract_from_sure_teacher(folder)
    torch.manual_seed(0)
    weights = folder / "start.safetensors"
    save_file(dict(torchvision.models.resnet18(num_classes=3).state_dict()), weights)
    theirs, ours = vitrine_train(folder, weights, SEED), plain_loop(folder, weights, SEED)
    print("vitrine-train  ", *(f"{x:.5f}" for x in theirs))
    print("the plain loop ", *(f"{x:.5f}" for x in ours))
    check(len(theirs) == len(ours) == 2 * EPOCHS)
    difference = np.abs(theirs / ours - 1)
    check((difference[:4] <= [1e-5, 1e-4, 1e-3, 1e-2]).all(), difference)
    half = slice(EPOCHS, None)
    check(abs(theirs[half].mean() / ours[half].mean() - 1) < 0.15, difference)
    check(ours[half].mean() < 0.15 * ours[0], "the student learns")
    other = plain_loop(folder, weights, SEED + 1, 1)
    check((np.abs(other / ours[:2] - 1) > 1e-2).all(), "another seed gives other batches")


def test_timm(folder):
    """timm's model, losses, optimizer, scheduler, scaler, average and metrics, over two epochs."""
    torch.manual_seed(1)
    data = VitrineDataset(folder / "cache", folder / "images", ["logits"], batch_size=16)
    student = timm.create_model("resnet18", num_classes=3)
    optimizer = timm.optim.create_optimizer_v2(student, opt="lamb", lr=0.01, weight_decay=0.01)
    scheduler = timm.scheduler.CosineLRScheduler(optimizer, t_initial=3, warmup_t=1, warmup_lr_init=1e-4)
    average, scaler, meter = timm.utils.ModelEmaV2(student, decay=0.5), timm.utils.NativeScaler("cpu"), timm.utils.AverageMeter()
    soft = timm.loss.SoftTargetCrossEntropy()
    batches, before = loader(data, num_workers=1), [p.detach().clone() for p in average.module.parameters()]
    for epoch in range(3):
        scheduler.step(epoch)
        for batch in batches:
            scores = student(batch.normalised())
            teacher, lam = batch.targets["logits"], batch.lam.unsqueeze(1)
            own, mixed = (torch.nn.functional.one_hot(labels, 3).float() for labels in (batch.labels, batch.mixed_labels))
            # Our losses are timm's, where both have them.
            entropy = torch.distributions.Categorical(logits=teacher).entropy().mean()
            check(abs(soft(scores, teacher.softmax(1)) - entropy - losses.kd(scores, teacher, 1.0)) < 1e-5)
            hard = soft(scores, lam * own + (1 - lam) * mixed)
            check(abs(hard - losses.mixed_cross_entropy(scores, batch)) < 1e-5)
            smooth = timm.loss.LabelSmoothingCrossEntropy(0.1)
            alone = batch.__class__(batch.images, batch.labels, batch.labels, torch.ones(len(batch)), batch.left_out, {})
            check(abs(smooth(scores, batch.labels) - losses.mixed_cross_entropy(scores, alone, 0.1)) < 1e-5)
            loss = losses.kd(scores, teacher, 2.0) + hard
            optimizer.zero_grad()
            scaler(loss, optimizer, parameters=student.parameters())
            average.update(student)
            top1, = timm.utils.accuracy(scores, batch.labels, topk=(1,))
            meter.update(top1.item(), len(batch))
    check(meter.count == 48 and 0 <= meter.avg <= 100 and torch.isfinite(loss))
    check(any(not torch.equal(p, q) for p, q in zip(average.module.parameters(), before)))


def name_classes(folder):
    """The second cache, as if its logits were of these classes in another order: both match them by name."""
    shutil.copytree(folder / "sure", folder / "named")
    for path in folder.glob("named/*/logits"):
        about = {"format": "vitrine teacher classes", "version": 1, "names": ["cat", "ant", "bee"]}
        (path.parent / "classes.json").write_text(json.dumps(about))
    return folder / "named"


def test_script(folder, cache, out):
    """tools/scripts/pytorch_student.py trains both and prints both top-1, here of an easy set that both learn."""
    script = pathlib.Path(__file__).resolve().parents[2] / "tools/scripts/pytorch_student.py"
    words = ["--cache", cache, "--images", folder / "images", "--test", folder / "images", "--out", out, "--epochs", 3,
             "--size", 64, "--lr", LR, "--ema", 0.5, "--seed", SEED, "--vitrine-train", BIN / "vitrine-train"]
    run = subprocess.run([sys.executable, script, *map(str, words)], capture_output=True, text=True)
    check(run.returncode == 0, run.stderr)
    shares = re.fullmatch(r"top-1 after 3 epochs of KL alone: vitrine-train ([0-9.]+) %, PyTorch and timm ([0-9.]+) %\n", run.stdout)
    check(shares, run.stdout)
    summary = json.loads((out / "vitrine/summary.json").read_text())
    check(f"{100 * summary['top1']:.2f}" == shares[1], summary)
    student = torchvision.models.resnet18(num_classes=3)
    student.load_state_dict(torch.load(out / "pytorch.pth", weights_only=True))
    ours = load_file(out / "vitrine/exported/last.safetensors")
    theirs, start = student.state_dict(), load_file(out / "start.safetensors")
    moved = sum((ours[name] - start[name]).square().sum() for name in start if name.endswith("weight"))
    apart = sum((ours[name] - theirs[name]).square().sum() for name in start if name.endswith("weight"))
    check(moved > 0 and apart < 0.2 * moved, moved, apart)  # six steps with the same batches, optimizer, schedule and average


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        extract(folder)
        test_against_vitrine_train(folder)
        test_timm(folder)
        test_script(folder, folder / "sure", folder / "both")
        test_script(folder, name_classes(folder), folder / "both_by_name")
    print("PyTorch's and timm's loops: as vitrine-train")


if __name__ == "__main__":
    sys.exit(main())

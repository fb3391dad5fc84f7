"""Measures the cost of a training step from labels only, from a cache (including loading), and from the live teacher;
in each precision.

    step_cost.py [--work DIR] [--batch N] [--steps N] [--rounds N] [--arch resnet18] [--size 224] [--fp16]

Draws pictures, creates a ViT-Ti/16 with random weights (they do not affect the cost), caches its logits, last map and last attention, and
trains on one thread. All arms run once per round in sequence, so that other load on the machine affects all of them; the table has the
median over rounds of core-seconds per step without the first steps, the ratio to labels only in the same round, and the largest memory.
"""
import argparse
import csv
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build" / "bin"
WARM_UP = 4  # steps


def run(*command):
    """Runs a command and returns its peak resident memory in MB."""
    with open(os.devnull, "wb") as nothing, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([str(c) for c in command], stdout=nothing, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"step_cost.py: {' '.join(map(str, command))} failed: {errors.read().decode()[-600:]}")
    return usage.ru_maxrss / 1024


def prepare(work, a):
    if not (work / "images").exists():
        run(BIN / "vitrine-draw", work / "images", "--split", f"train={a.batch * 16}", "--size", 300, "--seed", 1)
    if not (work / "vit.safetensors").exists():
        import safetensors.torch
        import timm
        model = timm.create_model("vit_tiny_patch16_224", num_classes=16, img_size=a.size)
        safetensors.torch.save_file({k: v.contiguous() for k, v in model.state_dict().items()}, str(work / "vit.safetensors"))
    teacher = f'micro_batch = {min(a.batch, 16)}\nweights = "{work}/vit.safetensors"\narch = "vit_tiny_patch16_224"\nimage_size = {a.size}\n'
    plan = f"[plan]\nimage_size = {a.size}\ngroup = {a.batch}\nshard_groups = 4\n"
    (work / "extract.toml").write_text(f'images = "{work}/images/train"\ncache = "{work}/cache"\npasses = 2\nallow_chance = true\n[teacher]\nname = "random"\n'
                                       f'{teacher}[taps]\nfeatures = [11]\nattention = [11]\n{plan}', encoding="utf-8")
    run(BIN / "vitrine-extract", work / "extract.toml")
    (work / "train.toml").write_text(
        f'images = "{work}/images/train"\nbatch = {a.batch}\nthreads = 1\nworkers = 1\nlog_every = 1\nmax_steps = {a.steps + WARM_UP}\n'
        f'[model]\narch = "{a.arch}"\n[augment]\nbrightness = 0.0\ncontrast = 0.0\nsaturation = 0.0\nhue = 0.0\nerase_probability = 0.0\n'
        f'[schedule]\nalign = {{ epochs = 0 }}\n{plan}[targets.teacher]\nname = "random"\n{teacher}', encoding="utf-8")


def step(work, a, name, settings):
    """Core-seconds per step and memory of one run."""
    output = work / "runs" / name
    shutil.rmtree(output, ignore_errors=True)
    memory = run(BIN / "vitrine-train", work / "train.toml", "--set", f"output={output}", *[x for s in settings for x in ("--set", s)])
    with open(output / "metrics.csv", encoding="utf-8") as file:
        seconds = {int(line["step"]): float(line["core_seconds"]) for line in csv.DictReader(file) if line["event"] == "step"}
    return (seconds[a.steps + WARM_UP] - seconds[WARM_UP]) / a.steps, memory


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", type=pathlib.Path)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--steps", type=int, default=12)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--arch", default="resnet18")
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--fp16", action="store_true")
    a = p.parse_args()
    cached = ["targets.source=cache", "targets.features=features.11", "targets.attention=attention.11", "transformer.direction=student_to_teacher"]
    none = ["targets.source=none", "targets.features=", "targets.attention="]
    with tempfile.TemporaryDirectory() as own:
        work = (a.work or pathlib.Path(own)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        prepare(work, a)
        cached.append(f"targets.cache={work}/cache")
        live = ["targets.source=teacher", "targets.check_images=0", "targets.passes=2", "targets.taps.features=[11]", "targets.taps.attention=[11]",
                "targets.features=features.11", "targets.attention=attention.11", "transformer.direction=student_to_teacher"]
        logits = ["targets.source=cache", f"targets.cache={work}/cache", "targets.features=", "targets.attention="]
        arms = {"labels alone, bf16": none + ["precision=bf16"], "logits from the cache, bf16": logits + ["precision=bf16"],
                "all targets from the cache, bf16": cached + ["precision=bf16"], "all targets, live teacher, bf16": live + ["precision=bf16"],
                "labels alone, fp32": none + ["precision=fp32"]}
        if a.fp16:  # thirty times slower on processors without FP16 arithmetic
            arms["labels alone, fp16"] = none + ["precision=fp16"]
        found = {name: [] for name in arms}
        for round_ in range(a.rounds):
            for name, settings in arms.items():
                found[name].append(step(work, a, name.replace(" ", "-").replace(",", ""), settings))
                print(f"round {round_ + 1} of {a.rounds}: {name}: {found[name][-1][0]:.3f} core-s a step", file=sys.stderr)
    base = [seconds for seconds, _ in found["labels alone, bf16"]]
    print(f"{a.arch}, {a.size}×{a.size}, batch {a.batch}, one thread; targets of a ViT-Ti/16; {a.rounds} rounds of {a.steps} steps\n")
    print("| step | core-s | against labels alone, bf16 | memory |\n| --- | --- | --- | --- |")
    for name, runs in found.items():
        ratio = statistics.median(seconds / b for (seconds, _), b in zip(runs, base))
        print(f"| {name} | {statistics.median(s for s, _ in runs):.3f} | {100 * (ratio - 1):+.1f} % | {max(m for _, m in runs):,.0f} MB |")
    print()
    single = found["labels alone, fp32"]
    for name in ("labels alone, bf16", "labels alone, fp16"):
        if name not in found:
            continue
        faster = statistics.median(s32 / s for (s, _), (s32, _) in zip(found[name], single))
        memory = max(m for _, m in found[name]) / max(m for _, m in single)
        print(f"{name}: {100 * (faster - 1):+.0f} % steps per core-second and {100 * (memory - 1):+.0f} % memory against fp32 "
              "(claimed for mixed precision on GPUs by the source of the method: +40 % and -28 %)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

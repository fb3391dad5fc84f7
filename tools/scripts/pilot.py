#!/usr/bin/env python3
"""Tries teachers before a long extraction: caches a few groups of each, trains a small student from each cache, and ranks the teachers by
the student's top-1 on pictures that neither saw. The strongest teacher is not always the best one.

    pilot.py CONFIG... [--groups N] [--passes N] [--epochs N] [--held-out N] [--arch resnet18] [--width N] [--out DIR] [--seed N]
             [--set KEY=VALUE ...]

Each CONFIG is vitrine-extract's; `images` must be the same labelled folder in all. Pictures are drawn by --seed and linked into
DIR/images; a finished step is not repeated, so that the same command resumes. --set is for vitrine-train ("device=cuda").
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("VITRINE_BIN", ROOT / "build" / "bin"))


def fail(*words):
    print("pilot:", *words, file=sys.stderr)
    sys.exit(2)


def run(log, *words):
    """Standard output; the whole output goes to the log."""
    process = subprocess.run([str(word) for word in words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log.write_text(" ".join(map(str, words)) + "\n" + process.stdout + process.stderr)
    if process.returncode != 0:
        last = (process.stderr.strip() or process.stdout.strip()).splitlines()[-1]
        fail(f"{pathlib.Path(words[0]).name} stopped with code {process.returncode}: {last} (all of it: {log})")
    return process.stdout


def read(path):
    try:
        config = tomllib.loads(pathlib.Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        fail(f"{path}: cannot be read as TOML: {error}")
    if not config.get("images"):
        fail(f"{path}: names no images; expected a folder of class folders")
    return config


def draw(images, out, wanted, held_out, seed):
    """Links `wanted` + `held_out` pictures, the same number from each class as far as there are, into out/train and out/held_out."""
    classes = sorted(entry.name for entry in os.scandir(images) if entry.is_dir() and not entry.name.startswith("."))
    if len(classes) < 2:
        fail(f"{images}: has {len(classes)} class folders; expected at least two")
    choose = random.Random(seed)
    for label, name in enumerate(classes):
        files = sorted(os.listdir(os.path.join(images, name)))
        choose.shuffle(files)
        share = [(count + len(classes) - 1 - label) // len(classes) for count in (wanted, held_out)]
        if len(files) < sum(share):
            share = [max(1, len(files) * count // max(1, sum(share))) for count in share]
        for part, first, count in [("train", 0, share[0]), ("held_out", share[0], share[1])]:
            folder = out / part / name
            folder.mkdir(parents=True)
            for file in files[first:first + count]:
                os.symlink(os.path.abspath(os.path.join(images, name, file)), folder / file)


def try_teacher(args, path, config, out):
    name = pathlib.Path(path).stem
    group = config.get("plan", {}).get("group", 64)
    folder = out / name
    folder.mkdir(exist_ok=True)
    sample = out / "images" / "train"
    cache = [BIN / "vitrine-extract", path, "--set", f"images={sample}", "--set", f"cache={folder / 'cache'}", "--set", "part=1/1", "--set",
             f"passes={args.passes}", "--set", "first_pass=0", "--set", f"plan.shard_groups={max(1, args.groups // 4)}", "--set",
             "unlabelled=", "--set", "allow_chance=true", *(["--allow", args.allow] if args.allow else [])]
    run(folder / "extract.log", *cache)
    info = json.loads(run(folder / "info.log", BIN / "vitrine-cache", "info", folder / "cache", "--json"))
    names = [f"{track['track']['kind']}.{track['track']['block']}" for track in info["tracks"]]
    maps = [track for track in names if track.startswith("features.")]
    attention = [track for track in names if track.startswith("attention.")]
    size = config.get("plan", {}).get("image_size", 224)
    student = folder / "train.toml"
    student.write_text(f"""images = "{sample}"
validation = "{out / 'images' / 'held_out'}"
output = "{folder / 'run'}"
seed = {args.seed}
size = {size}
batch = {group}
log_every = 1
[model]
arch = "{args.arch}"
width = {args.width}
[targets]
source = "cache"
cache = "{folder / 'cache'}"
features = "{maps[-1] if maps else ''}"
attention = "{attention[-1] if attention else ''}"
[schedule.align]
epochs = {1 if maps else 0}
[schedule.joint]
epochs = {args.epochs}
[schedule.fine_tune]
epochs = 0
""")
    run(folder / "train.log", BIN / "vitrine-train", student, *(word for setting in args.set for word in ("--set", setting)))
    summary = json.loads((folder / "run" / "summary.json").read_text())
    size_bytes = sum(file.stat().st_size for file in (folder / "cache").rglob("*") if file.is_file())
    views = args.passes * sum(1 for _ in (out / "images" / "train").rglob("*") if _.is_symlink())
    return {"config": str(path), "student_top1": summary["best"]["score"], "bytes_per_view": size_bytes / max(1, views)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("configs", metavar="CONFIG", nargs="+")
    parser.add_argument("--groups", type=int, default=32, help="groups of pictures cached per pass")
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--epochs", type=float, default=20, help="of the student's joint phase")
    parser.add_argument("--held-out", type=int, default=1000, help="pictures to evaluate the students on")
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--width", type=int, default=32, help="channels of the student's first stage; 64 is the whole ResNet")
    parser.add_argument("--out", default="pilot", metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for vitrine-train; repeatable")
    parser.add_argument("--allow", choices=["module"], help="run the code in teacher.module")
    args = parser.parse_args()
    if len({pathlib.Path(path).stem for path in args.configs}) < len(args.configs):
        fail("the configurations' file names must differ: they name the folders of the results")
    configs = [read(path) for path in args.configs]
    images = {os.path.realpath(config["images"]) for config in configs}
    if len(images) > 1:
        fail("the configurations name different images; teachers are compared on the same ones")
    out = pathlib.Path(args.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    group = max(config.get("plan", {}).get("group", 64) for config in configs)
    if not (out / "images" / "drawn").exists():
        draw(images.pop(), out / "images", args.groups * group, args.held_out, args.seed)
        (out / "images" / "drawn").write_text("")
    allow = ["--allow", args.allow] if args.allow else []
    scores = json.loads(run(out / "evaluate.log", BIN / "vitrine-extract", "--evaluate", *args.configs, *allow, "--json", "--set",
                            f"images={out / 'images' / 'held_out'}", "--set", f"check_images={args.held_out}"))
    rows = []
    for path, config, score in zip(args.configs, configs, scores):
        print(f"pilot: {score['teacher']} ({path})", file=sys.stderr)
        rows.append({"teacher": score["teacher"], "teacher_top1": score["top1"], "core_ms_per_image": score["core_ms_per_image"],
                     **try_teacher(args, path, config, out)})
    rows.sort(key=lambda row: -row["student_top1"])
    (out / "pilot.json").write_text(json.dumps(rows, indent=2) + "\n")
    width = max(len(row["teacher"]) for row in rows)
    print(f"{'teacher':{width}}  its top-1  student's top-1  bytes per view  core-ms per view")
    for row in rows:
        print(f"{row['teacher']:{width}}  {100 * row['teacher_top1']:7.1f} %  {100 * row['student_top1']:13.1f} %  "
              f"{row['bytes_per_view']:14.0f}  {row['core_ms_per_image']:16.1f}")


if __name__ == "__main__":
    main()

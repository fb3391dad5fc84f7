#!/usr/bin/env python3
"""Holds the rules of `vitrine distil` against a small search, on data sets that it draws: how far the student of the chosen settings is from the
best one found, and what the same network learns from labels alone.

    rules_search.py OUT [SET...] [--student resnet18] [--jobs N] [--seed N]

SET      few    3 classes of 30 pictures
         demo   36 classes, 500 pictures
         many   200 classes, 4,000 pictures
         tenth  16 classes, 1,000 pictures, of which a tenth have labels
         default: all. Each has a teacher of its own, a small ViT that learnt the classes from other, labelled pictures.

Beside the chosen settings the search tries, one at a time, half and twice the learning rate, a quarter and four times the weight decay, half
and twice the epochs. Every student is evaluated once, on 2,000 further pictures; as the best of several is chosen on them, the search is
favoured. Runs that have a summary are not repeated, so that the same command resumes. Prints a table, writes OUT/rules.csv.
"""
import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("VITRINE_BIN", ROOT / "build" / "bin"))
TESTED = 2000
# classes; pictures with labels, and further ones without; labelled ones of the teacher, and its epochs
SETS = {
    "few": (3, 90, 0, 1500, 20),
    "demo": (36, 500, 0, 12000, 12),
    "many": (200, 4000, 0, 24000, 12),
    "tenth": (16, 100, 900, 8000, 12),
}


def fail(*words):
    print("rules_search.py:", *words, file=sys.stderr)
    sys.exit(2)


def run(log, *words):
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as out:
        code = subprocess.run([str(word) for word in words], stdout=out, stderr=subprocess.STDOUT).returncode
    if code != 0:
        raise RuntimeError(f"{pathlib.Path(words[0]).name} stopped with code {code}; all of its output is in {log}")


def top1(run_directory):
    path = run_directory / "summary.json"
    return 100 * json.loads(path.read_text(encoding="utf-8"))["top1"] if path.exists() else None


def prepare(out, name, seed):
    """Pictures and a teacher; returns the folder of the pictures."""
    classes, labelled, unlabelled, taught, epochs = SETS[name]
    images = out / name / "images"
    if not (out / name / "drawn").exists():
        splits = {"teacher": taught, "student": labelled, "test": TESTED} | ({"unlabelled": unlabelled} if unlabelled else {})
        run(out / name / "draw.log", BIN / "vitrine-draw", images, "--classes", classes, "--size", 96, "--seed", seed + 7,
            *(word for split, count in splits.items() for word in ("--split", f"{split}={count}")))
        (out / name / "drawn").touch()
    if top1(out / name / "teacher") is None:
        run(out / name / "teacher.log", BIN / "vitrine-train", ROOT / "configs/demo/teacher.toml", "--set", f"images={images}/teacher",
            "--set", f"test={images}/test", "--set", f"output={out}/{name}/teacher", "--set", f"schedule.joint.epochs={epochs}",
            "--set", f"seed={seed}")
    return images


def distil(out, name, images, student, seed):
    chosen = out / name / "chosen"
    if not (chosen / "report.html").exists():
        more = ("--unlabelled", images / "unlabelled") if SETS[name][2] else ()
        run(out / name / "chosen.log", BIN / "vitrine-distil", images / "student", "--teacher",
            out / name / "teacher/exported/last.safetensors", "--student", student, "--test", images / "test", "--out", chosen, "--baseline",
            "--seed", seed, *more)
    return chosen


def variations(config):
    """{name: overrides} of a configuration that distil wrote."""
    joint, fine = config["schedule"]["joint"], config["schedule"]["fine_tune"]
    decay = config["optimizer"]["weight_decay"]

    def rates(factor):
        words = [f"schedule.joint.lr={joint['lr'] * factor}"]
        return words + ([f"schedule.fine_tune.lr={fine['lr'] * factor}"] if fine["epochs"] > 0 else [])

    found = {"lr x 0.5": rates(0.5), "lr x 2": rates(2)}
    found |= {f"decay x {factor}": [f"optimizer.weight_decay={decay * factor}"] for factor in (0.25, 4)}
    found |= {f"epochs x {factor}": [f"schedule.joint.epochs={max(1, round(joint['epochs'] * factor))}"] for factor in (0.5, 2)}
    return found


def search(out, name, student, seed, jobs):
    images = prepare(out, name, seed)
    chosen = distil(out, name, images, student, seed)
    arms = variations(tomllib.loads((chosen / "train.toml").read_text(encoding="utf-8")))

    def train(item):
        arm, overrides = item
        folder = out / name / arm.replace(" ", "-")
        if top1(folder) is None:
            run(folder.with_suffix(folder.suffix + ".log"), BIN / "vitrine-train", chosen / "train.toml", "--set", f"output={folder}",
                *(word for override in overrides for word in ("--set", override)))
        return arm, top1(folder)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = dict(pool.map(train, arms.items()))
    return {"set": name, "teacher": top1(out / name / "teacher"), "labels alone": top1(chosen / "baseline"), "chosen": top1(chosen), **results}


def print_table(rows):
    print(f"{'':8}{'teacher':>9}{'labels':>9}{'chosen':>9}{'best':>9}  of")
    for row in rows:
        arms = {key: value for key, value in row.items() if key not in ("set", "teacher", "labels alone")}
        best = max(arms, key=arms.get)
        print(f"{row['set']:8}{row['teacher']:9.1f}{row['labels alone']:9.1f}{row['chosen']:9.1f}{arms[best]:9.1f}  {best}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("sets", nargs="*", metavar="SET")
    parser.add_argument("--student", default="resnet18")
    parser.add_argument("--jobs", type=int, default=2, help="students trained at once")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    names = arguments.sets or list(SETS)
    for name in names:
        if name not in SETS:
            fail(f"unknown set {name}; expected", ", ".join(SETS))
    rows = []
    for name in names:
        try:
            rows.append(search(arguments.out.absolute(), name, arguments.student, arguments.seed, arguments.jobs))
        except RuntimeError as error:
            fail(error)
        print_table(rows[-1:])
    print_table(rows)
    with open(arguments.out / "rules.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

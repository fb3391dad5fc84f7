"""tools/scripts/benchmark.sh with tiny networks, and rules_search.py with stand-ins for the programs: what they run, their tables, and
that they do not repeat what is done."""
import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

from python_views_test import extract
from reader_support import BIN, check

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "tools/scripts"

TRAINING = """images = '{folder}/images'
test = '{folder}/images'
device = 'cpu'
batch = 16
threads = 1
workers = 1
[model]
width = 8
[targets]
source = 'cache'
cache = '{folder}/cache'
features = 'features.1'
[schedule]
align = {{ epochs = 1 }}
joint = {{ epochs = 1 }}
fine_tune = {{ epochs = 0 }}
"""

# Writes what the scripts read of a run. The top-1 is the share of the learning rate, so that runs differ.
PROGRAM = """#!{python}
import json, pathlib, sys
name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with open("{folder}/calls", "a") as calls:
    print(name, file=calls)
settings = dict(word.split("=", 1) for word in words if "=" in word)

def make(run, top1):
    run.mkdir(parents=True, exist_ok=True)
    (run / "summary.json").write_text(json.dumps({{"top1": top1}}))

if name == "vitrine-train":
    make(pathlib.Path(settings["output"]), float(settings.get("schedule.joint.lr", 0.5)))
if name == "vitrine-distil":
    out = pathlib.Path(words[words.index("--out") + 1])
    make(out, 0.25)
    make(out / "baseline", 0.125)
    (out / "report.html").write_text("")
    (out / "train.toml").write_text("[schedule]\\njoint = {{ epochs = 8, lr = 0.3 }}\\nfine_tune = {{ epochs = 0, lr = 0.1 }}\\n"
                                    "[optimizer]\\nweight_decay = 0.01\\n")
"""


def run(*words, **variables):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, env={**os.environ, **variables})


def test_benchmark(folder):
    """Both students of a network, a row of both, and again without training."""
    extract(folder)
    (folder / "train.toml").write_text(TRAINING.format(folder=folder))
    words = ["bash", SCRIPTS / "benchmark.sh", "--runs", folder / "runs", folder / "train.toml", "resnet18"]
    variables = {"VITRINE_BIN": str(BIN), "PYTHON": sys.executable}
    first = run(*words, **variables)
    check(first.returncode == 0 and "| resnet18 |" in first.stdout and "top-1 on the test images" in first.stdout, first)
    with open(folder / "runs/benchmark.csv", encoding="utf-8", newline="") as file:
        row, = csv.DictReader(file)
    check(row["network"] == "resnet18" and int(row["steps_original"]) > 0, row)
    check(abs(float(row["distilled"]) - float(row["original"]) - float(row["gain"])) < 0.001, row)
    for kind, source in (("original", "none"), ("distilled", "cache")):
        check(tomllib.loads((folder / f"runs/resnet18-{kind}/config.toml").read_text())["targets"]["source"] == source, kind)
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("summary.json")}
    again = run(*words, **variables)
    check(again.returncode == 0 and again.stdout == first.stdout, again)
    check({path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("summary.json")} == before)
    missing = run(*words[:-2], folder / "nothing.toml", **variables)
    check(missing.returncode == 2 and "nothing.toml: does not exist" in missing.stderr, missing)
    failed = run(*words, "--set", "sing=1", "--runs", folder / "other", **variables)
    check(failed.returncode == 2 and "resnet18-original failed" in failed.stderr, failed)


def test_rules_search(folder):
    """The chosen settings beside six others, each trained once."""
    for name in ("draw", "train", "distil"):
        program = folder / f"bin/vitrine-{name}"
        program.parent.mkdir(exist_ok=True)
        program.write_text(PROGRAM.format(python=sys.executable, folder=folder))
        program.chmod(0o755)
    words = [sys.executable, SCRIPTS / "rules_search.py", folder / "search", "few", "--jobs", "1"]
    first = run(*words, VITRINE_BIN=str(folder / "bin"))
    check(first.returncode == 0, first)
    with open(folder / "search/rules.csv", encoding="utf-8", newline="") as file:
        row, = csv.DictReader(file)
    check((row["set"], float(row["chosen"]), float(row["labels alone"])) == ("few", 25, 12.5), row)
    check((float(row["lr x 0.5"]), float(row["lr x 2"]), float(row["epochs x 2"])) == (15, 60, 50), row)
    check(first.stdout.splitlines()[-1].split() == ["few", "50.0", "12.5", "25.0", "60.0", "lr", "x", "2"], first.stdout)
    calls = (folder / "calls").read_text().split()
    check(sorted(calls) == ["vitrine-distil", "vitrine-draw", *["vitrine-train"] * 7], calls)
    check(run(*words, VITRINE_BIN=str(folder / "bin")).stdout == first.stdout and (folder / "calls").read_text().split() == calls)
    unknown = run(*words[:3], "nothing")
    check(unknown.returncode == 2 and "unknown set nothing; expected few, demo, many, tenth" in unknown.stderr, unknown)


def main():
    for test in (test_benchmark, test_rules_search):
        with tempfile.TemporaryDirectory() as name:
            test(pathlib.Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())

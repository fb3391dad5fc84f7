"""The code that the documentation shows runs as it stands: README.md and the docstrings of tools/python on a cache that
vitrine-extract made by default, and FORMAT.md's blocks on every encoding."""
import contextlib
import doctest
import importlib
import io
import json
import os
import pathlib
import pkgutil
import re
import shlex
import subprocess
import sys
import tempfile

import numpy as np
import torch
from python_views_test import extract
from reader_support import BIN, check, equal_bits, vitrine_cache
from vitrine_cache import Cache

ROOT = pathlib.Path(__file__).resolve().parents[2]


def blocks(page, language="python"):
    return [block.split("```")[0] for block in (ROOT / page).read_text().split(f"```{language}\n")[1:]]


def test_h5py_recipe(cache):
    """FORMAT.md's example reads plain arrays bit for bit, and for packed ones names the reader."""
    recipe, = (block for block in blocks("common/cache/FORMAT.md") if block.startswith("import h5py"))
    path, rows = '"cache/vit.0123abcd/attention.11/00000.h5"', "slice(0, 64)"
    check(path in recipe and rows in recipe)
    read = set()
    for track in cache.tracks:
        names = {}
        code = recipe.replace(path, repr(str(track.shard_directory.path(0)))).replace(rows, f"slice(0, {cache.plan.group})")
        try:
            exec(code, names)
        except ValueError as problem:
            check(track.encoding in ("uniform", "transform", "topk") and f"does not decode {track.encoding}; use" in str(problem))
            continue
        check(equal_bits(names["x"], track.read(0, 0)), track)
        check(names["about"]["track"] == {key: value for key, value in track.settings.items() if key != "check"})
        read.add(track.encoding)
    return read


def test_uniform_page(cache):
    """FORMAT.md's lines for the uniform encoding, on the rows that h5py gives."""
    names = {}
    exec(next(block for block in blocks("common/cache/FORMAT.md") if "def decode_uniform" in block), names)
    track, = (t for t in cache.tracks if t.encoding == "uniform")
    for pass_ in track.passes:
        for group in range(cache.plan.groups_per_pass):
            arrays = track.arrays(pass_, group)
            x = names["decode_uniform"](arrays["low"], arrays["high"], int(np.prod(track.shape)), track.codec["max_error"])
            check(equal_bits(x.astype(np.float32).reshape(-1, *track.shape), track.read(pass_, group)))


def test_without_plugin(cache):
    """h5py alone opens a shard, and reading gives the error that FORMAT.md quotes."""
    page = " ".join((ROOT / "common/cache/FORMAT.md").read_text().split())
    told = re.findall(r'fails with "([^"]+)" or "([^"]+)"', page)[0]
    path = next(t for t in cache.tracks if t.encoding == "sqrt8").shard_directory.path(0)
    script = "import h5py, sys; file = h5py.File(sys.argv[1]); print(list(file)); file['q'][0]"
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_PLUGIN_PATH"}
    run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, env=environment)
    check(run.returncode == 1 and run.stdout == "['q']\n", run)
    check(any(all(part in run.stderr for part in words.split(" ... ")) for words in told), run.stderr)


def test_readme(folder):
    """The Python blocks of tools/python/README.md, one after the other, and each line of its shell block."""
    names, seen = {}, []
    every = blocks("tools/python/README.md")
    python = [block for block in every if '"dense"' not in block]  # that one is python_dense_test.py's
    check(len(every) == 6 and len(python) == 5, len(every), len(python))
    for block in python[:4]:
        exec(block, names)
        seen.append(dict(names))
    train, features, resumed, arrays = seen
    check(torch.isfinite(train["loss"]) and train["scores"].shape == (16, 3) and train["data"].epoch == 2)
    check(features["target"].shape == (16, 16, 4, 4) and features["loss"].requires_grad)
    check(resumed["state"]["epoch"] == 2 and resumed["again"].epoch == 3)
    check(arrays["logits"].shape == (8, 3) and len(arrays["names"]) == 8 and "/" in arrays["names"][0])
    lines = [line for block in blocks("tools/python/README.md", "sh") for line in block.splitlines() if line.startswith("python")]
    check(len(lines) == 4)
    for line in lines:
        words = shlex.split(line, comments=True)
        run = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, cwd=folder)
        check(run.returncode == 0 and run.stdout, run)
    check((folder / "logits.h5").is_file() and (folder / "arrays/about.json").is_file())
    api = [line for line in (ROOT / "tools/python/README.md").read_text().split("## API")[1].splitlines() if line.startswith("| `")]
    exec(python[4], names)  # last, as there are two teachers after it
    made = Cache("cache").track("logits", "my_resnet")
    check(made.passes == list(range(8)) and made.encoding == "uniform")
    there = (vitrine_cache, names["views"], names["writer"], train["data"], vitrine_cache.Loader, train["batch"], arrays["cache"], arrays["cache"].tracks[0],
             vitrine_cache.TopK(0, 0, 0, 0))
    for name in re.findall(r"`(\w+)[(`]", "".join(api)):
        check(any(hasattr(where, name) for where in there), f"README.md's API names {name}")


def test_docstrings():
    """Every example in a docstring of the package."""
    examples = 0
    for found in pkgutil.iter_modules(vitrine_cache.__path__, "vitrine_cache."):
        examples += run_examples(importlib.import_module(found.name))
    check(run_examples(vitrine_cache) >= 6 and examples >= 9, examples)


def run_examples(module):
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        failed, tried = doctest.testmod(module)
    check(failed == 0, told.getvalue())
    return tried


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        out = pathlib.Path(name)
        subprocess.run([BIN / "write_cache", out], check=True)
        cache = Cache(out / "cache")
        check(test_h5py_recipe(cache) == {"fp32", "fp16", "int8", "sqrt8"})
        test_uniform_page(cache)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        extract(folder)
        cache = Cache(folder / "cache")
        check(json.loads((cache.track("logits").directory / "track.json").read_text())["encoding"] == "uniform")
        check(test_h5py_recipe(cache) == {"sqrt8"})
        test_uniform_page(cache)
        test_without_plugin(cache)
        here = os.getcwd()
        os.chdir(folder)
        try:
            test_docstrings()
            test_readme(folder)
        finally:
            os.chdir(here)
    print("the documentation's code runs")


if __name__ == "__main__":
    sys.exit(main())

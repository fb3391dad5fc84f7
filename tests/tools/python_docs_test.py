"""The Python code that the documentation shows runs as it stands: the docstring of tools/python/vitrine_cache on a cache that
vitrine-extract made by default, and FORMAT.md's blocks on every encoding."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

import numpy as np
import torch
from python_views_test import extract
from reader_support import BIN, check, equal_bits, vitrine_cache
from vitrine_cache import Cache

ROOT = pathlib.Path(__file__).resolve().parents[2]


def blocks_of_page():
    return [block.split("```")[0] for block in (ROOT / "common/cache/FORMAT.md").read_text().split("```python\n")[1:]]


def code_of_docstring(words):
    """The indented lines of the paragraph that begins with these words."""
    paragraphs = re.findall(r"(?:^    .*\n)+", vitrine_cache.__doc__, re.M)
    return textwrap.dedent(next(text for text in paragraphs if text.lstrip().startswith(words)))


def test_h5py_recipe(cache):
    """FORMAT.md's example reads plain arrays bit for bit, and for packed ones names the reader."""
    recipe, = (block for block in blocks_of_page() if block.startswith("import h5py"))
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
    exec(next(block for block in blocks_of_page() if "def decode_uniform" in block), names)
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


def test_docstring(folder):
    """The training loop, where the demo would have left its pictures and cache."""
    (folder / "demo/images").mkdir(parents=True)
    (folder / "demo/images/student").symlink_to(folder / "images")
    (folder / "demo/cache").symlink_to(folder / "cache")
    here = os.getcwd()
    os.chdir(folder)
    try:
        names = {}
        exec(code_of_docstring("import torch, torchvision"), names)
        check(names["data"].pass_ == 7 and torch.isfinite(names["soft"]) and names["scores"].shape == (16, 3))
        values = code_of_docstring("values = Cache")
        check('track("features.3").read(0, 5)' in values)
        exec("from vitrine_cache import Cache\n" + values.replace("features.3", "features.1").replace("(0, 5)", "(0, 1)"), names)
        check(names["values"].shape == (8, 16, 4, 4))
        few, loss = Cache(folder / "few"), code_of_docstring("soft = topk")
        data = vitrine_cache.VitrineDataset(folder / "images", few, ["logits"], kept=True)
        topk = {"item": data[0], "scores": torch.randn(8, 3), "t": 2.0, "topk_kl_divergence": vitrine_cache.topk_kl_divergence}
        exec(loss, topk)
        check(torch.isfinite(topk["soft"]))
    finally:
        os.chdir(here)


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
        run = subprocess.run([BIN / "vitrine-extract", folder / "extract.toml", "--set", "taps.logits_encoding=topk", "--set",
                              "taps.topk=2", "--set", "taps.topk_temperatures=[2.0]", "--set", f"cache={folder}/few", "--set",
                              "passes=1"], capture_output=True, text=True)
        check(run.returncode == 0, run.stderr)
        test_docstring(folder)
    print("the documentation's code runs")


if __name__ == "__main__":
    sys.exit(main())

"""python -m vitrine_cache export and verify: plain arrays that h5py and numpy read alone, and every damaged byte found."""
import functools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from reader_support import BIN, check, limited, raises
from vitrine_cache import RECIPE, Cache
from vitrine_cache.export import export

TINY = "tiny.aaaaaaaa/features.3"


def program(*words):
    return subprocess.run([sys.executable, "-m", "vitrine_cache", *map(str, words)], capture_output=True, text=True)


def wanted(track, passes, dtype):
    """[passes, views, shape...], from read()."""
    return np.stack([np.concatenate([track.read(p, g) for g in range(track.plan.groups_per_pass)]) for p in passes]).astype(dtype)


def test_hdf5(cache, out):
    """Every encoding arrives with the values that read() gives, rounded to the type, and with what they mean."""
    for encoding, dtype in (("fp32", np.float32), ("fp16", np.float16)):
        path = out / f"{encoding}.h5"
        run = program("export", cache.directory, path, "--encoding", encoding)
        check(run.returncode == 0 and run.stdout == f"{path}: passes 0-1, as {encoding}\n", run)
        script = "import sys, h5py\nwith h5py.File(sys.argv[1]) as f: f.visititems(lambda n, d: isinstance(d, h5py.Dataset) and d[()])"
        alone = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)  # no plugin needed
        check(alone.returncode == 0, alone)
        with h5py.File(path) as file:
            check(file.attrs["plan"] == cache.plan.hash and list(file.attrs["passes"]) == [0, 1] and file.attrs["group"] == 4)
            for track in cache.tracks:
                made = file[f"{track.directory.parent.name}/{track.name}"]
                check(made.dtype == dtype and np.array_equal(made[()], wanted(track, [0, 1], dtype)), track)
                about = dict(made.attrs)
                check(about["kind"] == track.kind and about["stored_as"] == track.encoding and about["units"])
                check(about.get("stored_max_error") == track.codec.get("max_error"))
                labels = [axis.label for axis in made.dims]
                check(labels[:2] == ["pass", "view"] and len(labels) == made.ndim and all(labels))
            check(file["views"].dtype == RECIPE)
            check(np.array_equal(file["views"][1, 4:8], cache.recipes(1, 1)))
            check(file["images/id"].asstr()[()].tolist() == cache.ids and (file["images/label"][()] == cache.labels).all())
            check(file["classes"].asstr()[()].tolist() == cache.classes)


def test_npy(cache, out):
    """The same as .npy files, of chosen tracks and passes."""
    run = program("export", cache.directory, out / "arrays", "--tracks", "tiny/features.3", "uniform/logits", "--passes", 1, "--encoding",
                  "fp32")
    check(run.returncode == 0, run)
    files = sorted(path.relative_to(out / "arrays").as_posix() for path in (out / "arrays").rglob("*") if path.is_file())
    about = json.loads((out / "arrays/about.json").read_text())
    check(files == ["about.json", *sorted(f"{name}.npy" for name in about["tracks"]), "views.npy"] and len(files) == 4, files)
    check(about["passes"] == [1] and about["ids"] == cache.ids and about["labels"] == cache.labels.tolist())
    for name in about["tracks"]:
        values = np.load(out / "arrays" / f"{name}.npy")
        check(np.array_equal(values, wanted(cache.track(name), [1], np.float32)), name)
    views = np.load(out / "arrays/views.npy")
    check(np.array_equal(views[0, :4], cache.recipes(1, 0)))


def test_refusals(cache, out):
    """Nothing is written, not even in part, when something does not fit."""
    def refused(words, name, **options):
        raises(words, functools.partial(export, cache, out / name, **options))

    before = sorted(out.iterdir())
    refused("encoding = 'int8' is not allowed; expected fp16 or fp32", "x", encoding="int8")
    refused("no track of the name nothing", "x.h5", tracks=["nothing"])
    refused("pass 2 is not complete in all of the chosen tracks; there are [0, 1]", "x", passes=[0, 2])
    refused("fp32.h5: exists; give another name", "fp32.h5")
    large = cache.track("tiny/features.3")
    original = type(large).read
    for name in ("x", "x.h5"):
        try:  # the second group cannot be stored
            type(large).read = lambda track, p, g: original(track, p, g) + (1e5 if g == 1 else 0)
            refused("which fp16 cannot hold; use fp32", name)
        finally:
            type(large).read = original
    check(sorted(out.iterdir()) == before, sorted(out.iterdir()))
    run = program("export", cache.directory, "/dev/null/x")
    check(run.returncode in (2, 3) and run.stderr.count("\n") == 1 and "/dev/null/x: cannot be written (" in run.stderr, run)


def test_full_disk(cache, out):
    """One sentence, and nothing is left behind, wherever the writing stops."""
    before = sorted(out.iterdir())
    for name in ("full", "full.h5"):
        for size in (0, 300, 4000, 50000, 200000):
            words = [sys.executable, "-m", "vitrine_cache", "export", cache.directory, out / name, "--encoding", "fp32"]
            run = subprocess.run(words, capture_output=True, text=True, preexec_fn=limited(size))
            check(run.returncode == 3 and run.stderr == f"vitrine_cache: {out / name}: cannot be written (File too large); check the "
                  "directory and its free space\n", (name, size, run))
            check(sorted(out.iterdir()) == before, sorted(out.iterdir()))


def test_verify(cache, out):
    """Every kind of damage is one line with its file; C++ finds the same files."""
    run = program("verify", cache.directory)
    check(run.returncode == 0 and run.stdout.endswith("all is well\n") and run.stdout.count("\n") == 1, run)
    bad = out / "bad"

    def flip(name, place):
        data = bytearray((bad / name).read_bytes())
        data[place] ^= 1
        (bad / name).write_bytes(data)

    for damage, name in ((functools.partial(flip, TINY + "/00001.h5", -1), TINY + "/00001.h5"),
                         (functools.partial(flip, "recipes/00000.h5", -1), "recipes/00000.h5"),
                         (functools.partial(flip, TINY + "/00000.h5", 100), TINY + "/00000.h5"),
                         (lambda: (bad / TINY / "track.json").write_text("{"), TINY + "/track.json"),
                         (lambda: shutil.copy(bad / TINY / "00001.h5", bad / TINY / "00000.h5"), TINY + "/00000.h5")):
        shutil.copytree(cache.directory, bad)
        damage()
        run, theirs = program("verify", bad), subprocess.run([BIN / "vitrine-cache", "verify", bad], capture_output=True, text=True)
        lines = run.stdout.splitlines()
        check(run.returncode == 1 and len(lines) >= 2 and all(str(bad / name) in line for line in lines[:-1]), (name, run))
        check(lines[-1].endswith(f"{len(lines) - 1} problems") and theirs.returncode == 1 and str(name) in theirs.stdout, theirs)
        shutil.rmtree(bad)


def main():
    with tempfile.TemporaryDirectory() as name:
        out = pathlib.Path(name)
        subprocess.run([BIN / "write_cache", out], check=True)
        cache = Cache(out / "cache")
        for test in (test_hdf5, test_npy, test_refusals, test_full_disk, test_verify):
            test(cache, out)
    print("plain arrays and damage: as they should")


if __name__ == "__main__":
    sys.exit(main())

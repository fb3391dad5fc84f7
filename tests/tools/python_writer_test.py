"""vitrine_cache.Writer: a track that Python wrote is one that C++ might have written. The C++ programs verify it, read the same
values, make the same arrays of the same values, and train from it."""
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision
from python_views_test import draw_images
from reader_support import BIN, check, equal_bits, limited, raises
from vitrine_cache import Cache, VitrineDataset, Views, Writer, loader, losses, native, normalised, writer

SHA = "5e" * 32
OPTIONS = {"max_error": "--max-error", "kept": "--kept", "temperatures": "--temperatures"}


def program(*words):
    run = subprocess.run([BIN / "vitrine-cache", *map(str, words)], capture_output=True, text=True)
    check(run.returncode == 0, run)
    return run.stdout


def values_for(cache, shape, kind, seed):
    """{(pass, group): float32 [group, shape...]}, with some structure, and zeros and large values among them."""
    random, out = np.random.default_rng(seed), {}
    for pass_ in cache.recipe_passes:
        for group in range(cache.plan.groups_per_pass):
            x = random.normal(0, 3, (cache.plan.group, *shape)).astype(np.float32)
            if kind == "attention":
                x = np.exp(x) / np.exp(x).sum((2, 3), keepdims=True)
            if kind == "features":
                x = x * np.linspace(2, 0.1, shape[0], dtype=np.float32)[:, None, None] + x[:, :1]
            out[pass_, group] = x
    out[0, 0][1, 0] = 0
    out[0, 0][2, ..., -1] *= 0.25 if kind == "attention" else 30
    return out


def write(cache, values, name, **options):
    """All groups, in the order that missing() asks for."""
    shape = next(iter(values.values())).shape[1:]
    with Writer(cache, name, shape, weights=SHA, **options) as made:
        for place in made.missing():
            made.put(*place, values[place])
    return Cache(cache.directory).track(name, options["teacher"])


def recode(track, target, encoding, codec=None):
    """The same track in another encoding, made by C++ in another cache."""
    words = []
    for key, value in (codec or {}).items():
        words += [OPTIONS[key], ",".join(map(str, value)) if isinstance(value, list) else value]
    directory = track.directory.parents[1]
    program("recode", directory, "--from", track.directory.relative_to(directory), "--to", target, "--encoding", encoding, *words)
    return Cache(target).track(track.name, track.teacher)


def losses_of(track):
    return [track.shard_directory.open(number).json("vitrine shard")["loss"] for number in track.shard_directory.numbers]


def close(a, b, relative):
    """Whether two shards' losses agree; they have six digits."""
    return a.keys() == b.keys() and all(x == b[key] if isinstance(x, str) else abs(x - b[key]) <= relative * abs(b[key]) + 1e-9
                                        for key, x in a.items())


def test_encodings(cache, out):
    """Every encoding: bounded, with the values that C++ reads, the arrays that C++ makes of the same values, and its loss."""
    tried = 0
    for name, shape in {"logits": (300,), "features.2": (6, 4, 5), "attention.1": (2, 3, 4), "embedding": (7,)}.items():
        kind = name.split(".")[0]
        values = values_for(cache, shape, kind, len(name))
        plain = write(cache, values, name, encoding="fp32", teacher=f"plain_{kind}")
        encodings = [("fp16", {}), ("int8", {}), ("uniform", {"max_error": 0.01})]
        encodings += [("sqrt8", {})] if kind == "attention" else []
        encodings += [("topk", {"kept": 5}), ("topk", {"kept": 299, "max_error": 0.02, "temperatures": [2.0]})] if kind == "logits" else []
        for i, (encoding, options) in enumerate(encodings):
            track = write(cache, values, name, encoding=encoding, teacher=f"{encoding}{i}_{kind}", **options)
            check((track.encoding, track.passes) == (encoding, cache.recipe_passes), track)
            theirs = recode(plain, out / f"{kind}{i}", encoding, track.codec)
            read = recode(track, out / f"read_{kind}{i}", "fp32")
            for place, x in values.items():
                mine = track.read(*place)
                check(equal_bits(mine, read.read(*place)) and equal_bits(mine, track.read_with_h5py(*place)), (track, place))
                for key, array in track.arrays(*place).items():
                    other = theirs.arrays(*place)[key]
                    if key == "tail":  # of another library's exp() and log()
                        check(np.abs(array - other).max() < 1e-6 * np.abs(other).max(), (track, place))
                    else:
                        both = min(array.size, other.size) if array.ndim == 1 else array.size  # rows have their shard's padding
                        check(np.array_equal(array.reshape(-1)[:both], other.reshape(-1)[:both]), (track, place, key))
                if encoding == "uniform":
                    check((np.abs(mine - x) <= 0.01 + np.spacing(np.abs(x))).all(), (track, place))
            check(all(close(a, b, 1e-4) for a, b in zip(losses_of(track), losses_of(theirs), strict=True)), track)
            tried += 1
    check(tried == 15, tried)


def test_transform(cache, out):
    """The encoder in C++ behind C: the bound holds in every group, C++ reads the same, and needs about as many bytes itself."""
    for maps in ((12, 6, 6), (5, 7, 2)):
        values = values_for(cache, maps, "features", maps[0])
        plain = write(cache, values, "features.7", encoding="fp32", teacher=f"plain{maps[0]}")
        for error in (0.02, 0.0005):
            track = write(cache, values, "features.7", teacher=f"maps{maps[0]}_{error}", max_error=error, calibration_views=8)
            check(track.encoding == "transform" and track.settings["codec"]["max_error"] == error)
            theirs = recode(plain, out / f"maps{maps[0]}_{error}", "transform", {"max_error": error})
            read = recode(track, out / f"read_maps{maps[0]}_{error}", "fp32")
            mean = track.basis.mean
            for place, x in values.items():
                mine = track.read(*place)
                check(((mine - x)**2).sum() <= error * ((x - mean)**2).sum() * 1.0001, (track, place))
                check(np.abs(mine - read.read(*place)).max() <= 1e-5 * np.abs(mine).max(), (track, place))
            check(all(loss["centred_by"] == "basis" and 0 < loss["worst_group"] <= error for loss in losses_of(track)))
            check(close(losses_of(track)[0], losses_of(theirs)[0], 0.5))
            bytes_ = [each.shard_directory.stored_bytes() for each in (track, theirs)]
            check(0.8 < bytes_[0] / bytes_[1] < 1.25, bytes_)


def test_stopped(cache, out):
    """A stopped writer resumes with the missing shards; the files are those of an uninterrupted one."""
    shape = (4, 5, 5)
    values = values_for(cache, shape, "features", 9)
    calm = write(cache, values, "features.1", teacher="calm")
    make = functools.partial(Writer, cache, "features.1", shape, weights=SHA, teacher="stopped")
    given = []
    for stop_after in (1, 3, 6, 4, 100):  # in the calibration, after it, in a shard, at its end, at the end
        with make() as made:
            for count, place in enumerate(made.missing()):
                if count == stop_after:
                    break
                made.put(*place, torch.from_numpy(values[place]).double())
                given.append(place)
    with make() as made:
        check(list(made.missing()) == [])
    check(len(given) > len(values) + 2)
    stopped = Cache(cache.directory).track("features.1", "stopped")
    for number in calm.shard_directory.numbers:
        for place in values:
            for key, array in calm.arrays(*place).items():
                check(np.array_equal(array, stopped.arrays(*place)[key]))
    check((calm.directory / "basis.h5").read_bytes() == (stopped.directory / "basis.h5").read_bytes())  # and no times in them
    listed = [json.loads((t.directory / "shards.json").read_text())["shards"] for t in (calm, stopped)]
    names = [f"{number:05d}.h5" for number in calm.shard_directory.numbers]
    check([[each["name"] for each in shards] for shards in listed] == [names, names])
    left = [path.name for path in stopped.directory.iterdir()]
    check(sorted(left) == sorted([*names, "basis.h5", "shards.json", "track.json"]), left)
    (stopped.directory / names[0]).unlink()  # a shard that was lost is made again
    with make() as made:
        lost = list(made.missing())
        check({cache.plan.find(*place, "")[0] for place in lost} == {0})
        for place in lost:
            made.put(*place, values[place])
    check([e["xxh3"] for e in json.loads((stopped.directory / "shards.json").read_text())["shards"]] == [e["xxh3"] for e in listed[1]])


def test_killed(cache, out):
    """The shards of a writer that was killed before close() are listed by the next one, so that the loss of one is seen."""
    values = values_for(cache, (5,), "logits", 4)
    killed = Writer(cache, "logits", (5,), teacher="killed", weights=SHA)
    for place in killed.missing():
        killed.put(*place, values[place])
    directory = killed.directory
    del killed
    check(not (directory / "shards.json").exists())
    for _ in range(2):
        with Writer(cache, "logits", (5,), teacher="killed", weights=SHA) as again:
            check(list(again.missing()) == [])
        names = [each["name"] for each in json.loads((directory / "shards.json").read_text())["shards"]]
        check(names == sorted(path.name for path in directory.glob("0*.h5")) and len(names) > 1, names)
    content = (directory / names[-1]).read_bytes()
    (directory / names[-1]).unlink()
    lost = subprocess.run([BIN / "vitrine-cache", "verify", cache.directory], capture_output=True, text=True)
    check(lost.returncode == 1 and names[-1] in lost.stdout, lost)
    (directory / names[-1]).write_bytes(content)


FULL = """import sys
import numpy as np
from vitrine_cache import Cache, CacheError, Writer
try:
    with Writer(Cache(sys.argv[1]), "logits", (5000,), teacher="full", weights="5e" * 32, encoding="fp32") as made:
        for place in made.missing():
            made.put(*place, np.random.default_rng(1).normal(size=(made.cache.plan.group, 5000)))
except CacheError as problem:
    print(problem)
"""


def test_full_disk(cache, out):
    """A shard that does not fit is one sentence, and leaves nothing in part."""
    for size in (2000, 20000, 60000):
        run = subprocess.run([sys.executable, "-c", FULL, cache.directory], capture_output=True, text=True, preexec_fn=limited(size))
        check(run.returncode == 0 and run.stdout.count("\n") == 1 and not run.stderr, run)
        check("00000.h5: cannot be written (File too large); check the directory and its free space" in run.stdout, run)
        left = sorted(path.name for path in (cache.directory / "full.5e5e5e5e/logits").iterdir())
        check(left == ["track.json"], left)
    shutil.rmtree(cache.directory / "full.5e5e5e5e")


def test_left_out(cache, out):
    """Targets of views that were left out are zeros, or the basis's mean, whatever the model said."""
    original = writer.left_out
    writer.left_out = lambda recipes: np.arange(len(recipes)) == 1
    try:
        for name, shape, encoding in (("logits", (5,), "fp32"), ("features.1", (4, 5, 5), "transform")):
            values = values_for(cache, shape, name.split(".")[0], 3)
            for x in values.values():
                x[1] = np.nan
            track = write(cache, values, name, teacher="without", encoding=encoding)
            blank = track.basis.mean if encoding == "transform" else 0
            for place in values:
                check(np.abs(track.read(*place)[1] - blank).max() < 1e-5)
    finally:
        writer.left_out = original


def test_refusals(cache, out):
    """Everything that does not fit is one sentence, and leaves the cache as it is."""
    before = sorted(cache.directory.rglob("*"))

    def refused(words, track="logits", shape=(5,), teacher="new", weights=SHA, **options):
        raises(words, functools.partial(Writer, cache, track, shape, teacher=teacher, weights=weights, **options))

    refused("track = 'logit' is not allowed; expected logits, embedding, features.BLOCK or attention.BLOCK", "logit")
    refused("encoding = 'zip' is not allowed", encoding="zip")
    refused("nowhere.pth: cannot be read (No such file or directory); give the model's weight file", weights="nowhere.pth")
    refused("cannot name a teacher", teacher="a/b")
    refused("a shape of 3 axes does not fit logits", shape=(5, 1, 1))
    refused("kept = 0 of 5 classes is not allowed", encoding="topk")
    refused("kept = 3 does not fit the encoding uniform", kept=3)
    refused("max_error = 0.1 does not fit the encoding fp16", encoding="fp16", max_error=0.1)
    refused("max_error = 0 is not allowed; expected a share", "features.1", (4, 5, 5), max_error=0)
    refused("teacher.mean = [300.0,0.5,0.5] is not allowed", mean=(300, 0.5, 0.5))
    refused("pass 7 of recipes is not complete; there are [0, 1]", passes=[0, 7])
    refused("zstd level 40 is not allowed", level=40)
    refused("track = 'features.01' is not allowed", "features.01", (4, 5, 5), encoding="fp16")
    deep = functools.reduce(lambda inner, _: {"more": inner}, range(40), {})
    fits = functools.reduce(lambda inner, _: {"more": inner}, range(29), {})  # track.json is an object in each shard
    for architecture, words in (({"dropout": float("nan")}, "JSON"), ({"sizes": {1, 2}}, "JSON"), (deep, "nested too deeply"),
                                (fits, "nested too deeply")):
        for encoding in ("uniform", "fp16"):
            refused(words, architecture=architecture, encoding=encoding)
    for heads, maps, words in (((0, 3), 3, "a shape of 3 heads does not fit heads = [0, 3]; expected [2, H, W]"),
                               ((1, 1), 2, "names a head twice")):
        refused(words, "attention.1", (maps, 3, 4), heads=heads)
    refused("a shape of 3 heads does not fit the mean", "attention.1", (3, 3, 4), heads_mean=True)
    refused("a shape of 3 heads does not fit the mean over heads or the rollout", "attention.1", (3, 3, 4), rollout=True)
    blocked = cache.directory / "blocked.5e5e5e5e"
    blocked.write_text("")
    for encoding in ("transform", "fp16"):  # before the calibration
        refused("cannot be written (", "features.1", (4, 5, 5), teacher="blocked", encoding=encoding)
    blocked.unlink()
    original = native.library
    try:
        native.library = lambda: None
        refused("writing the transform encoding needs the compiled codec; pip install", "features.1", (4, 5, 5))
    finally:
        native.library = original
    check(sorted(cache.directory.rglob("*")) == before)
    made = Writer(cache, "logits", (5,), teacher="small", weights=SHA)
    good = np.zeros((cache.plan.group, 5), np.float32)
    raises("pass 0, group 0: values of shape [4, 6] are not allowed; expected [4, 5]", made.put, 0, 0, np.zeros((4, 6)))
    raises("group 99 does not exist", made.put, 0, 99, good)
    bad = good.copy()
    bad[3, 2] = np.inf
    raises("pass 0, group 1: view 3 has a value that is not finite", made.put, 0, 1, bad)
    bad[3, 2] = 1e30
    raises("pass 0, group 1: view 3 has the value 1e+30, too large for a step of 0.03125", made.put, 0, 1, bad)
    for place in made.missing():
        made.put(*place, good)
    raises("its shard is written, and files never change", made.put, 0, 0, good)
    made.close()
    raises("its shard is written", Writer(cache, "logits", (5,), teacher="small", weights=SHA).put, 1, 0, good)
    refused("the track has codec.max_error 0.015625, this writer 0.5; give the same arguments", teacher="small", max_error=0.5)
    for encoding, value, words in (("fp16", 7e4, "beyond the range of fp16"), ("sqrt8", -0.5, "stores probabilities from 0 to 1"),
                                   ("topk", 1e5, "beyond the range of fp16")):
        made = Writer(cache, "logits", (5,), teacher=f"for_{encoding}", weights=SHA, encoding=encoding,
                      **({"kept": 2} if encoding == "topk" else {}))
        bad[3, 2] = value
        raises(f"view 3 has the value {value:g}", made.put, 0, 0, bad)
        raises(words, made.put, 0, 0, bad)


def test_training(folder):
    """Both trainers learn from a ConvNet's logits and features that Python added to recipes which no teacher was needed for."""
    torch.manual_seed(2)
    teacher = torchvision.models.resnet18(num_classes=3).eval()
    torch.save(teacher.state_dict(), folder / "net.pth")
    maps = {}
    teacher.layer2.register_forward_hook(lambda module, given, out: maps.update(features=out))
    cache = Cache(folder / "cache")
    views = Views(folder / "images", cache)
    common = {"teacher": "convnet", "weights": folder / "net.pth", "architecture": {"name": "resnet18"}, "license": "bsd-3-clause"}
    with Writer(cache, "logits", [3], **common) as scores, Writer(cache, "features.1", [128, 4, 4], **common, max_error=0.05) as features:
        for made, of in ((scores, lambda out: out), (features, lambda out: maps["features"])):
            for place in made.missing():
                images = torch.from_numpy(views.read(*place)).permute(0, 3, 1, 2)
                with torch.no_grad():
                    made.put(*place, of(teacher(normalised(images))))
    check("all is well" in program("verify", folder / "cache", "--images", folder / "images"))
    about = program("info", folder / "cache")
    check("convnet" in about and "bsd-3-clause" in about, about)
    data = VitrineDataset(folder / "cache", folder / "images", ["convnet/logits", "convnet/features.1"], batch_size=16)
    with torch.no_grad():
        for batch in loader(data):
            check((teacher(batch.normalised()) - batch.targets["logits"]).abs().max() < 1 / 64 + 1e-4)
            share = losses.feature_mse(maps["features"], batch.targets["features.1"]) / maps["features"].var()
            check(share < 0.05, share)
    settings = {"images": folder / "images", "output": folder / "student", "targets.source": "cache", "targets.cache": folder / "cache",
                "targets.cache_teacher": "convnet", "targets.features": "features.1", "batch": 16, "threads": 1, "workers": 1,
                "model.width": 8, "schedule.align.epochs": 1, "schedule.joint.epochs": 2, "schedule.fine_tune.epochs": 0}
    (folder / "student.toml").write_text("")
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run = subprocess.run([BIN / "vitrine-train", folder / "student.toml", *words], capture_output=True, text=True)
    check(run.returncode == 0 and (folder / "student/summary.json").exists(), run.stderr)


def main():
    torch.set_num_threads(1)
    if native.library() is None:
        print("skipped: this build has no compiled codec")
        return 77
    with tempfile.TemporaryDirectory() as name:
        out = pathlib.Path(name)
        subprocess.run([BIN / "write_cache", out], check=True)
        for track in (out / "cache").glob("*.aaaaaaaa"):  # only index, plan and recipes
            shutil.rmtree(track)
        for test in (test_encodings, test_transform, test_stopped, test_killed, test_full_disk, test_left_out, test_refusals):
            test(Cache(out / "cache"), out)
        report = program("verify", out / "cache")
        check("all is well" in report and os.listdir(out / "cache/small.5e5e5e5e/logits"), report)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        draw_images(folder / "images")
        (folder / "extract.toml").write_text(f"""images = '{folder}/images'
cache = '{folder}/cache'
passes = 2
[plan]
group = 8
shard_groups = 1
image_size = 32
""")
        run = subprocess.run([BIN / "vitrine-extract", folder / "extract.toml", "--recipes"], capture_output=True, text=True)
        check(run.returncode == 0, run.stderr)
        test_training(folder)
    print("what Python writes: as C++ does")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""tools/python/vitrine_cache on caches with foreign entries: it must read what vitrine-cache reads, list
what vitrine-cache lists, and raise errors of the right kind."""
import contextlib
import errno
import hashlib
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tempfile

import h5py
import hdf5plugin  # noqa: F401  registers the Zstandard filter
import numpy as np
from reader_support import BIN, check, patched, raises, vitrine_cache, whole, word, write_track
from vitrine_cache import Cache, CorruptError, InputError, IoError, NewerFormatError
from vitrine_cache import container

TINY = "tiny.aaaaaaaa/features.3"


@contextlib.contextmanager
def changed(out):
    """A copy of the cache to be changed."""
    bad = out / "bad"
    shutil.copytree(out / "cache", bad)
    yield bad
    shutil.rmtree(bad)


def listed_by_cpp(directory):
    """The paths in the cache that `vitrine-cache info` cannot use."""
    run = subprocess.run([BIN / "vitrine-cache", "info", directory, "--json"], capture_output=True, text=True)
    about = json.loads(run.stdout)
    paths = [bad["directory"] for bad in about["unreadable"]]
    for track in about["tracks"]:
        paths += [f"{track['directory']}/{pathlib.Path(what.split(': ')[0]).name}" for what in map(sentence, track["unreadable"])]
    check((run.returncode == 1) == bool(paths), run)
    return sorted(paths)


def sentence(entry):
    return entry if isinstance(entry, str) else next(value for value in entry.values() if ".h5: " in str(value))


def edit_json(path, change):
    about = json.loads(path.read_text())
    change(about)
    write_track(path, about) if path.name == "track.json" else path.write_text(json.dumps(about))


def edit_track_copy(path, change):
    """Changes a shard's copy of its track.json, for HDF5 and in the table."""
    with h5py.File(path, "r+") as file:
        about = json.loads(file.attrs["vitrine"])
        change(about["track"])
        text = json.dumps(about, separators=(",", ":")).encode()
        kind = h5py.h5a.open(file.id, b"vitrine").get_type().copy()
        kind.set_size(len(text))
        del file.attrs["vitrine"]
        attribute = h5py.h5a.create(file.id, b"vitrine", kind, h5py.h5s.create(h5py.h5s.SCALAR))
        attribute.write(np.array(text, f"S{len(text)}"), mtype=kind)
    data = bytearray(path.read_bytes())
    table, block, old = (int.from_bytes(data[at:at + size], "little") for at, size in ((24, 8), (32, 8), (56, 4)))
    begin, end = table - 8 - old, table - old + len(text)
    check(end <= block)
    data[begin:block] = bytes(block - begin)
    data[begin:end - 8] = text
    path.write_bytes(data)
    patched(path, {24: word(end, 8), 40: word(len(data), 8), 56: word(len(text), 4)}, True)


def test_bad_tracks(out):
    """Unusable tracks, and directories that are not tracks, cause errors only when requested."""
    with changed(out) as bad:
        (bad / "few.aaaaaaaa/logits/track.json").write_text("{")
        (bad / "half.aaaaaaaa/logits/track.json").unlink()
        edit_json(bad / "other.aaaaaaaa/logits/track.json", lambda track: track.update(version=99))
        (bad / "notes/of mine").mkdir(parents=True)
        (bad / "notes/x").mkdir()
        (bad / "notes/x/track.json").write_text("to do: tidy up")
        (bad / "notes/y/track.json").mkdir(parents=True)
        cache = Cache(bad)
        wanted = ["few.aaaaaaaa/logits", "half.aaaaaaaa/logits", "notes/x", "notes/y", "other.aaaaaaaa/logits"]
        check([problem.path for problem in cache.problems] == wanted, cache.problems)
        check(listed_by_cpp(bad) == wanted, listed_by_cpp(bad))
        for problem in cache.problems:
            check(str(problem.error).startswith(f"{bad / problem.path}/track.json: "), problem)
        kinds = [type(problem.error) for problem in cache.problems]
        check(kinds == [CorruptError, InputError, CorruptError, InputError, NewerFormatError], kinds)
        check(len(cache.tracks) == len(Cache(out / "cache").tracks) - 3)
        check(cache.track("logits", "tiny").read(0, 0).shape == (4, 5))
        for teacher in ("few", "few.aaaaaaaa"):
            raises(str(cache.problems[0].error), cache.track, "logits", teacher)
        raises("is missing, but there are shards", cache.track, "logits", "half")
        raises("few.aaaaaaaa/logits (not readable)", cache.track, "logits", "w")
        again = pickle.loads(pickle.dumps(cache))
        check([str(p.error) for p in again.problems] == [str(p.error) for p in cache.problems])
        for teacher in ("tiny", "uniform", "hundreds", "thousands", "half", "other"):  # which one is meant stays as it was
            shutil.rmtree(bad / f"{teacher}.aaaaaaaa")
        raises(str(cache.problems[0].error), Cache(bad).track, "logits")
        run = subprocess.run([sys.executable, "-m", "vitrine_cache", "info", bad], capture_output=True, text=True)
        check(run.returncode == 1 and "few.aaaaaaaa/logits: " in run.stdout, run)


def test_class_names(out):
    """Logits that record their class names are refused without them, as by C++, and give their columns by name."""
    names = ["b\u00e4r", "cherry", "apple", "fig", "plum"]
    digest = hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()
    with changed(out) as bad:
        logits, classes = bad / "other.aaaaaaaa/logits", bad / "other.aaaaaaaa/classes.json"
        cache = Cache(bad)
        check(cache.classes == ["apple", "b\u00e4r"] and cache.track("logits", "other").class_names is None)
        raises("has 5 classes and records no names", cache.class_columns, "logits", "other")
        raises("has features, which has no classes", cache.class_columns, "features.3", "tiny")
        edit_json(logits / "track.json", lambda track: track.update(class_names_sha256=digest))

        def refused(words):
            raises(words, Cache(bad).track, "logits", "other")
            problem, = Cache(bad).problems
            run = subprocess.run([BIN / "vitrine-cache", "info", bad, "--json"], capture_output=True, text=True)
            theirs, = json.loads(run.stdout)["unreadable"]
            check(theirs["what"] == str(problem.error), theirs, problem)
        refused("classes.json: is missing, and without it the classes of other.aaaaaaaa/logits are not known")
        about = {"format": "vitrine teacher classes", "version": 1, "names": names[::-1]}
        for wrong, words in [(about, "has other class names than"), ({**about, "names": []}, "names is empty"),
                             ({**about, "names": [1]}, "names = 1 is not allowed"), ({**about, "version": 2}, "use a newer vitrine")]:
            classes.write_text(json.dumps(wrong))
            refused(words)
        classes.write_text(json.dumps({**about, "names": names}))
        cache = whole(bad)
        check(cache.track("logits", "other").class_names == names)
        check(cache.class_columns("logits", "other") == cache.class_columns("other.aaaaaaaa/logits") == [2, 0])
        edit_json(logits / "track.json", lambda track: track.update(class_names_sha256="x"))
        refused("class_names_sha256 is not SHA-256")
        edit_json(logits / "track.json", lambda track: track.pop("class_names_sha256"))
        check(whole(bad).class_columns("logits", "other") == [2, 0])  # of an earlier version: the file counts
        classes.write_text(json.dumps({**about, "names": ["apple", "b\u00e4r", "apple", "fig", "plum"]}))
        raises("names 2 classes apple", whole(bad).class_columns, "logits", "other")


def test_later_keys(out):
    """A key that a later version added, to track.json or to a shard's copy of it, changes nothing; a known one does."""
    good = Cache(out / "cache").track("features.3").read(1, 2)
    with changed(out) as bad:
        edit_json(bad / TINY / "track.json", lambda track: track.update(later={"of": [1]}))
        check(np.array_equal(whole(bad).track("features.3").read(1, 2), good))
        check(listed_by_cpp(bad) == [])
    for change, problem in [(lambda track: track.update(later={"of": [1]}), None),
                            (lambda track: track.update(level=2), "track.level 2, expected 1"),
                            (lambda track: track.update(window=20), "track.window 20, expected"),
                            (lambda track: track.pop("normalised"), "normalised"),
                            (lambda track: track.update(normalised=1), "normalised")]:
        with changed(out) as bad:
            edit_track_copy(bad / TINY / "00003.h5", change)
            verify = subprocess.run([BIN / "vitrine-cache", "verify", bad], capture_output=True, text=True)
            if problem:
                raises(problem, Cache(bad).track("features.3").read, 1, 2)
            else:
                check(np.array_equal(whole(bad).track("features.3").read(1, 2), good))
            check((verify.returncode == 0) if problem is None else problem in verify.stdout, verify)


def test_what_is_no_shard(out):
    """Directories, links and pipes with a shard's name are reported, not counted; other names and renamed files are ignored."""
    with changed(out) as bad:
        (bad / TINY / "01000.h5").mkdir()
        (bad / TINY / "00005.h5").symlink_to("nowhere.h5")
        (bad / "recipes/00009.h5").mkdir()
        shutil.copy(bad / TINY / "00000.h5", bad / TINY / "4294967295.h5")
        shutil.copy(bad / TINY / "00000.h5", bad / TINY / "00004.h5.damaged")
        shutil.copytree(bad / TINY, bad / "tiny.aaaaaaaa/features.3.damaged", symlinks=True)
        shutil.copytree(bad / "few.aaaaaaaa", bad / "few.aaaaaaaa.damaged.2")
        cache = Cache(bad)
        check([p.path for p in cache.problems] == ["recipes/00009.h5", TINY + "/00005.h5", TINY + "/01000.h5"],
              cache.problems)
        check(all(type(p.error) is InputError and str(p.error).startswith(f"{bad / p.path}: is ") for p in cache.problems))
        track = cache.track("features.3")
        check(track.passes == [0, 1] and cache.recipe_passes == [0, 1], track.passes)
        raises("01000.h5: is not a regular file", track.read, 500, 0)
        raises("00005.h5: is a link that cannot be followed", track.read, 2, 2)
        raises("4294967295.h5: has pass 0, expected 2147483647", track.read, (2**32 - 1) // 2, 2)
        check(TINY + "/01000.h5" in listed_by_cpp(bad), listed_by_cpp(bad))
        (bad / TINY / "00001.h5").unlink()
        (bad / TINY / "00001.h5").mkdir()
        check(Cache(bad).track("features.3").passes == [1])  # a directory makes no pass complete
        (bad / TINY / "00001.h5").rmdir()
        os.mkfifo(bad / TINY / "00001.h5")
        check(Cache(bad).track("features.3").passes == [1])
        raises("is not a regular file", container.Container, bad / TINY / "00001.h5")  # and waits for no writer


def test_kinds(out):
    """Each error has its kind, and all are CacheErrors."""
    def kind(call, *arguments):
        try:
            call(*arguments)
        except vitrine_cache.CacheError as error:
            return type(error)
        return None

    def flip(path, place):
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(data)

    name = TINY + "/00000.h5"
    changes = [(lambda bad: flip(bad / name, 100), CorruptError), (lambda bad: flip(bad / name, -1), CorruptError),
               (lambda bad: (bad / name).write_bytes((bad / name).read_bytes()[:-9]), CorruptError),
               (lambda bad: patched(bad / name, {8: word(9, 2)}, True), NewerFormatError),
               (lambda bad: patched(bad / name, {12: word(4, 4)}, True), NewerFormatError),
               (lambda bad: (bad / name).unlink(), InputError),
               (lambda bad: shutil.copy(bad / TINY / "00001.h5", bad / name), InputError)]
    for change, wanted in changes:
        with changed(out) as bad:
            change(bad)
            found = {kind(Cache(bad).track("features.3").read, 0, group) for group in range(2)} - {None}
            check(found == {wanted}, (found, wanted))
    real_open, real_pread = os.open, os.pread

    def refuse(code):
        def call(*_):
            raise OSError(code, os.strerror(code))
        return call

    track = Cache(out / "cache").track("features.3")
    try:
        for code, wanted in [(errno.EACCES, IoError), (errno.EIO, IoError), (errno.ENOENT, InputError)]:
            os.open = refuse(code)
            check(kind(track.read, 0, 0) is wanted, code)
            os.open = real_open
        os.pread = refuse(errno.EIO)
        raises("00000.h5: cannot be read (Input/output error)", track.read, 0, 0)
        check(kind(track.read, 0, 0) is IoError)
    finally:
        os.open, os.pread = real_open, real_pread


def test_without_pread(out):
    """Without pread, O_CLOEXEC and O_NONBLOCK (Windows), the same values are read."""
    script = """import os, sys
for name in ("pread", "O_CLOEXEC", "O_NONBLOCK"):
    delattr(os, name)
from vitrine_cache import Cache
for track in Cache(sys.argv[1]).tracks:
    sys.stdout.buffer.write(track.read(1, 2).tobytes())
"""
    run = subprocess.run([sys.executable, "-c", script, out / "cache"], capture_output=True,
                         env={**os.environ, "PYTHONPATH": str(pathlib.Path(vitrine_cache.__file__).parents[1])})
    check(run.returncode == 0, run.stderr)
    check(run.stdout == b"".join(track.read(1, 2).tobytes() for track in Cache(out / "cache").tracks))


def test_numbers(out):
    """Passes and groups may be numpy integers; other types are refused before anything is read."""
    track = Cache(out / "cache").track("features.3")
    good = track.read(1, 2)
    for one, two in [(np.int64(1), np.uint8(2)), (np.int32(1), np.array(2))]:
        check(np.array_equal(track.read(one, two), good))
    for wrong in (1.0, "1", None):
        try:
            track.read(wrong, 0)
        except TypeError as error:
            check("integer" in str(error), error)
        else:
            raise AssertionError(f"pass {wrong!r} was read")


def test_lists(out):
    """Names and labels are built once; an absent label is -1, not 2^32 - 1."""
    cache = Cache(out / "cache")
    check(cache.ids is cache.ids and cache.labels is cache.labels)
    check(cache.labels.dtype == np.int64)
    cache.index.label = np.array([0, 2**32 - 1, 1], np.uint32)
    del cache.index.__dict__["labels"]
    check(cache.labels.tolist() == [0, -1, 1])
    check(not cache.index.unlabelled)
    again = pickle.loads(pickle.dumps(cache.index))
    check("ids" not in vars(again) and "labels" not in vars(again) and again.ids == cache.ids[:3])


def test_near_misses(out):
    """A folder beside or inside a cache is refused with the cache that was probably meant; repr() of a cache is short."""
    for wrong, meant in [(out, out / "cache"), (out / "cache/recipes", (out / "cache").resolve()), (out / "cache/tiny.aaaaaaaa", out / "cache")]:
        raises(f"{wrong}: is not a cache (it has no index.h5); expected one, as vitrine-extract makes it, such as {meant}", Cache, wrong)
    raises("as vitrine-extract makes it", Cache, out / "cache/tiny.aaaaaaaa/logits")
    cache = Cache(out / "cache")
    check(repr(cache) == f"Cache('{out}/cache', 11 images, {len(cache.tracks)} tracks)", cache)
    check(repr(cache.plan) == f"Plan({cache.plan.hash[:8]}, 3 groups of 4 views per pass)", cache.plan)


def main():
    with tempfile.TemporaryDirectory() as name:
        out = pathlib.Path(name)
        subprocess.run([BIN / "write_cache", out], check=True)
        for test in (test_bad_tracks, test_class_names, test_later_keys, test_what_is_no_shard, test_kinds, test_without_pread, test_numbers,
                     test_lists, test_near_misses):
            test(out)
    print("strangers, kinds and numbers: alike")


if __name__ == "__main__":
    sys.exit(main())

"""Reads tests/golden in Python: valid files give the values in their table, damaged ones the same errors as in C++
(tests/faults/golden_test.cpp)."""
import json
import pathlib
import re
import shutil
import sys
import tempfile

import numpy as np
from reader_support import vitrine_cache, whole, write_track
from vitrine_cache import Cache, CacheError, Container, Views
from xxhash import xxh3_64_intdigest as xxh3

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
ENCODINGS = ("fp32", "fp16", "int8", "sqrt8", "uniform", "topk", "transform")


def rows():
    """File, or track of the whole cache, to the last column of its row."""
    table = [line for line in (GOLDEN / "README.md").read_text().splitlines() if line.startswith("| `")]
    return dict(re.fullmatch(r"\| `(.*?)` \|.* \| (.*) \|", line).groups() for line in table)


def assemble(directory):
    """The files of the folder as the cache that they are pieces of. Returns the place of each kind."""
    places = {"index": "index.h5", "plan": "plan.json", "recipes": "recipes/00000.h5"}
    for encoding in ENCODINGS:
        track = json.loads(Container(GOLDEN / f"{encoding}.h5").text)["track"]
        block = f".{track['block']}" if track["block"] >= 0 else ""
        place = directory / f"{track['teacher']['name']}.{track['teacher']['weights_sha256'][:8]}" / f"{track['kind']}{block}"
        place.mkdir(parents=True)
        write_track(place / "track.json", track)
        places[encoding] = place.relative_to(directory) / "00000.h5"
        places[f"{encoding}/track"] = place.relative_to(directory) / "track.json"
        if encoding == "transform":
            places["basis"] = place.relative_to(directory) / "basis.h5"
    (directory / "recipes").mkdir()
    for kind, place in places.items():
        if not kind.endswith("/track"):
            shutil.copy(GOLDEN / f"{kind}{pathlib.Path(place).suffix}", directory / place)
    return places


def same_values(values, encoding, expected):
    if encoding == "transform":
        total = float(np.abs(values).sum(dtype=np.float64))
        return abs(total - float(expected.removeprefix("sum "))) <= 1e-5 * total
    return f"{xxh3(values.tobytes()):016x}" == expected


def check_good(directory, places, expected):
    cache = whole(directory)
    for encoding in ENCODINGS:
        track, = (t for t in cache.tracks if t.encoding == encoding)
        values = np.concatenate([track.read(0, group) for group in range(2)])
        assert values.dtype == np.float32 and same_values(values, encoding, expected.pop(f"{encoding}.h5")), encoding
    for kind in ("index", "recipes", "basis"):
        file = Container(directory / places[kind])
        content = b"".join(file.read([name], chunk)[0] for name, dataset in file.datasets.items()
                           for chunk in range(dataset.chunks))
        assert f"{xxh3(file.text + content):016x}" == expected.pop(f"{kind}.h5"), kind
    for group in range(2):
        assert len(cache.recipes(0, group)) == 4 and cache.picture_hash(0, group) == group + 1
    assert f"{xxh3((directory / 'plan.json').read_bytes()):016x}" == expected.pop("plan.json")


def place_of(name, places):
    """Where a damaged file stands: its name says its kind; those of no kind were an int8 shard."""
    if name.startswith("bad_track"):
        track = json.loads((GOLDEN / name).read_text())
        return places[f"{track['teacher']['name']}/track"]
    return next((place for kind, place in places.items() if name.startswith(f"bad_{kind}")), places["int8"])


def read_all(directory):
    cache = whole(directory)
    for group in range(2):
        cache.recipes(0, group)
        for track in cache.tracks:
            track.read(0, group)


def check_bad(directory, places, expected):
    read_all(directory)
    for name, words in expected.items():
        place = directory / place_of(name, places)
        good = place.read_bytes()
        shutil.copy(GOLDEN / name, place)
        words = words.replace("decoding: ", "").replace("payload: ", "")
        try:
            read_all(directory)
        except CacheError as error:
            # The message for an array names the track and the pass; all others begin with the file.
            of_array = words.startswith("group 0: ") and "recipe" not in words
            begin = f"{place.parent}: pass 0, " if of_array else f"{place}: "
            assert str(error).startswith(begin + words), f"{name}\n{error}\n{words}"
        else:
            raise AssertionError(f"{name} was read")
        place.write_bytes(good)
    read_all(directory)


def check_whole_cache(expected):
    cache = Cache(GOLDEN / "cache")
    views = Views(GOLDEN / "images", cache)
    kinds = set()
    for group in range(cache.plan.groups_per_pass):
        assert views.read(0, group).shape == (4, 12, 12, 3)  # held against the hash of what the teacher saw
        kinds |= set(cache.recipes(0, group)["mix"].tolist())
    assert kinds == {0, 1, 2}
    for track in cache.tracks:
        values = np.concatenate([track.read(0, group) for group in range(cache.plan.groups_per_pass)])
        assert same_values(values, track.encoding, expected.pop(f"cache/{track.directory.parent.name}/{track.name}"))
    assert cache.track("features.3").basis.rows is not None and cache.track("logits").read_kept(0, 0)[1].max() > 255
    for path in (GOLDEN / "cache").rglob("shards.json"):
        listed = json.loads(path.read_text())
        assert (listed["format"], listed["version"]) == ("vitrine shards", 1)
        for shard in listed["shards"]:
            content = (path.parent / shard["name"]).read_bytes()
            assert (len(content), f"{xxh3(content):016x}") == (shard["bytes"], shard["xxh3"])


def main():
    expected = rows()
    check_whole_cache(expected)
    assert expected.pop("bad_shards.json")  # readers need no shards.json: this one has none for it
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name) / "cache"
        directory.mkdir()
        places = assemble(directory)
        check_good(directory, places, expected)
        assert len(expected) >= 27 and all(name.startswith("bad_") for name in expected), expected
        check_bad(directory, places, expected)
    print("golden files: alike")


if __name__ == "__main__":
    sys.exit(main())

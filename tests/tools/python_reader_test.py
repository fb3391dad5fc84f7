"""Compares tools/python/vitrine_cache with the C++ reader: values of every encoding, refusals, damaged files."""
import functools
import hashlib
import json
import os
import pathlib
import pickle
import random
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import zstandard
from reader_support import (BIN, compressed, equal_bits, patched, raises, replace_chunk, vitrine_cache, whole, with_new_check,
                            word, write_track)
from vitrine_cache import Cache, CacheError, CorruptError, NewerFormatError
from vitrine_cache import native, transform
from vitrine_cache.container import CHUNK, DATASET, HEADER
from vitrine_cache.track_settings import known
from xxhash import xxh3_64_intdigest as xxh3


# Values

def close(ours, theirs):
    return np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


def test_values(out):
    cache = Cache(out / "cache")
    plan, encodings, types = cache.plan, set(), set()
    assert cache.tracks and (plan.group, plan.groups_per_pass, plan.shards_per_pass) == (4, 3, 2)
    for track in cache.tracks:
        theirs = np.fromfile(out / f"{track.teacher}.{track.name}.f32", np.float32)
        theirs = theirs.reshape(len(track.passes), plan.groups_per_pass, plan.group, *track.shape)
        assert track.passes == [0, 1] and np.abs(theirs).max() > 0
        for pass_ in track.passes:
            for group in range(plan.groups_per_pass):
                ours = track.read(pass_, group)
                assert ours.shape == theirs.shape[2:] and ours.dtype == np.float32
                same = close if track.encoding == "transform" else equal_bits
                assert same(ours, theirs[pass_, group]), (track, pass_, group)
                assert equal_bits(ours, track.read_with_h5py(pass_, group)), (track, pass_, group)
        encodings.add(track.encoding)
        for array in track.layout:
            types.add((track.encoding, array.dtype))
            if array.name == "index":  # the type is no larger than its classes ask for
                classes = np.concatenate([track.read_kept(p, g)[1] for p in track.passes for g in range(3)])
                assert classes.max() >= {"|u1": 0, "<u2": 2**8, "<u4": 2**16}[array.dtype], track
    assert encodings == set(vitrine_cache.ENCODINGS), encodings
    assert {("topk", dtype) for dtype in ("<f2", "<i2", "|u1", "<u2", "<u4")} <= types, types


def test_kept(out):
    """The stored numbers of a topk track give the values of read()."""
    cache = Cache(out / "cache")
    track = cache.track("logits", "few")
    values, classes, tail = track.read_kept(1, 2)
    assert values.shape == classes.shape == (4, 2) and tail.shape == (4, 2) and (values[:, 0] >= values[:, 1]).all()
    whole = track.read(1, 2)
    assert equal_bits(np.take_along_axis(whole, classes, 1), values)
    others = np.ones(whole.shape, bool)
    np.put_along_axis(others, classes, False, 1)
    for view in range(4):  # the tail at the first temperature is the mass of those that were not kept
        mass = np.log(np.exp(whole[view, others[view]] / track.codec["temperatures"][0]).sum())
        assert abs(mass - tail[view, 0]) < 1e-5
    raises("only topk has kept values", cache.track("features.3").read_kept, 0, 0)


def test_coefficients(out):
    """The coefficients of a transform track, multiplied by its basis, give the values of read()."""
    cache = Cache(out / "cache")
    for track in cache.tracks:
        if track.encoding == "transform":
            whole = np.einsum("kc,vkhw->vchw", track.basis.vectors, track.read_coefficients(0, 1)) + track.basis.mean
            assert close(whole, track.read(0, 1))
    raises("only transform has coefficients", cache.track("attention.3").read_coefficients, 0, 0)
    assert cache.track("features.5", "smooth").basis.rows is not None  # a transform over positions was undone


def test_bases(out):
    """A foreign basis."""
    name = "smooth.aaaaaaaa/features.5/basis.h5"
    other = vitrine_cache.Container(out / "cache" / name).read_all("levels").copy()
    other[3, 4] ^= 1
    strange = vitrine_cache.Container(out / "cache" / name).read_all("expected").copy()
    strange[5] = 0

    def another(bad):
        """A valid basis with another number of calibration views, and its hash."""
        text = (bad / name).read_bytes()
        about = json.loads(vitrine_cache.Container(bad / name).text)
        shape = np.array([about[axis] for axis in ("channels", "height", "width")], "<u4").tobytes()
        arrays = ("mean", "vectors", "eigenvalues", "rows", "columns", "scale", "expected", "levels", "confidence")
        content = b"".join(vitrine_cache.Container(bad / name).read_all(array).tobytes() for array in arrays)
        hashes = [hashlib.sha256(shape + views.to_bytes(8, "little") + content).hexdigest()
                  for views in (about["views"], about["views"] + 1)]
        assert about["hash"] == hashes[0]
        for old, new in [(hashes[0], hashes[1]), (f'"views":{about["views"]}', f'"views":{about["views"] + 1}')]:
            assert text.count(old.encode()) == 2  # in the table, and for HDF5
            text = text.replace(old.encode(), new.encode())
        (bad / name).write_bytes(text)
        patched(bad / name, {}, True)

    changes = [(lambda bad: shutil.copy(bad / name.replace("smooth", "fine"), bad / name), "has an unexpected type or shape"),
               (lambda bad: replace_chunk(bad / name, "levels", compressed(other.tobytes())),
                "does not match its hash"),
               (lambda bad: replace_chunk(bad / name, "expected", compressed(strange.tobytes())), "values out of range"),
               (another, ", but track.json names"),
               (lambda bad: (bad / name).unlink(), "cannot be opened")]
    for change, words in changes:
        bad = out / "bad"
        shutil.copytree(out / "cache", bad)
        change(bad)
        raises(words, read_values, bad)
        raises(name, read_values, bad)
        shutil.rmtree(bad)


def test_index_and_recipes(out):
    cache = Cache(out / "cache")
    assert cache.classes == ["apple", "bär"]
    assert cache.ids == [f"{cache.classes[i % 2]}/{i * i}.jpg" for i in range(11)]
    assert cache.labels.tolist() == [i % 2 for i in range(11)]
    assert cache.index.height.tolist() == [20 + i for i in range(11)]
    groups = [(p, g) for p in cache.recipe_passes for g in range(3)]
    recipes = [cache.recipes(p, g) for p, g in groups]
    assert b"".join(r.tobytes() for r in recipes) == (out / "recipes.bin").read_bytes()
    assert [cache.picture_hash(p, g) for p, g in groups] == [0xF000000000000000 + p * 1000 + g for p, g in groups]
    shares = vitrine_cache.own_share(recipes[0])
    wanted = [1.0 if r["mix"] == 0 else r["lambda"] / 65536 for r in recipes[0]]
    assert shares.dtype == np.float32 and shares.tolist() == wanted and 0 < min(wanted) < 1
    again = pickle.loads(pickle.dumps(cache))
    for mine, other in zip(cache.tracks, again.tracks):
        assert equal_bits(mine.read(1, 2), other.read(1, 2))


def test_names(out):
    cache = Cache(out / "cache")
    assert cache.track("features.3").encoding == "int8"
    assert cache.track("logits", "other").encoding == "fp32" and cache.track("logits", "tiny.aaaaaaaa").teacher == "tiny"
    raises("has several tracks of the name logits; it has few", cache.track, "logits")
    raises("no track of the name features.7", cache.track, "features.7")
    raises("no track of the name features.3 from teacher other", cache.track, "features.3", "other")
    raises("group 3 does not exist; a pass has 3", cache.track("features.3").read, 0, 3)
    raises("00004.h5: is missing", cache.track("features.3").read, 2, 0)
    raises("00004.h5: is missing", cache.recipes, 2, 0)
    raises("features.3: pass -1 does not exist; passes are counted from 0", cache.track("features.3").read, -1, 0)
    raises("pass -1 does not exist", cache.recipes, -1, 2)
    raises("is not a directory", Cache, out / "nowhere")


# Damage

def read_stored(directory):
    """Reads everything that a cache stores, with all checks, and its metadata."""
    cache = whole(directory)
    groups = [(p, g) for p in range(2) for g in range(cache.plan.groups_per_pass)]
    return [(cache.recipes(*key).tobytes(), cache.picture_hash(*key),
             *(a.tobytes() for t in cache.tracks for a in t.arrays(*key).values())) for key in groups] + \
        [(cache.classes, cache.ids, cache.labels.tolist(),
          *(t.basis.levels.tobytes() + t.basis.mean.tobytes() for t in cache.tracks if t.encoding == "transform"))]


def read_values(directory):
    cache = whole(directory)
    return [t.read(p, g) for t in cache.tracks for p in range(2) for g in range(cache.plan.groups_per_pass)]


def test_damaged_tables(out):
    """Every false statement of a table is refused although its checksum is valid."""
    good, name = out / "cache", "tiny.aaaaaaaa/features.3/00001.h5"
    first_chunk = 64 + 2 * 136
    place_of_first = word(int(vitrine_cache.Container(good / name).chunks["offset"][0]), 8)
    cases = [({0: b"X"}, True, "is not a file of a vitrine cache"), ({8: word(3, 2)}, True, "has format version 3.0, this program reads 2.x; use a newer vitrine"),
             ({8: word(1, 2)}, True, "has format version 1.x, which no release wrote; extract the cache again"),
             ({12: word(4, 4)}, True, "needs features that this program does not know (flags 4)"),
             # The checksum proves that the number alone was changed, in a file of this version.
             ({8: word(3, 2)}, False, "its table's checksum is wrong"), ({8: word(1, 2)}, False, "its table's checksum is wrong"),
             ({12: word(4, 4)}, False, "its table's checksum is wrong"),
             ({40: word(5, 8)}, True, "bytes, expected 5"), ({32: word(64, 8)}, True, "does not fit into its user block"),
             ({56: word(3, 4)}, True, "do not add up"), ({20: word(3, 4)}, True, "do not add up"),
             ({64: b"\0"}, True, "is invalid"), ({64 + 32: b"<f9"}, True, "is invalid"),
             ({64 + 48: word(9, 4)}, True, "is invalid"), ({64 + 52: word(0, 4)}, True, "impossible size"),
             ({64 + 56: word(0, 8)}, True, "impossible shape"), ({64 + 56: word(2**62, 8)}, True, "impossible size"),
             ({64 + 128: word(7, 8)}, True, "7 chunks, which does not fit"),
             ({64 + 120: word(1, 8)}, True, "claims chunks that are not its own"),
             ({64 + 136: b"q\0\0\0\0\0"}, True, "is listed twice"),
             ({first_chunk: word(2**63, 8)}, True, "impossible place"),
             ({first_chunk + 8: word(2**31, 4)}, True, "impossible place"),
             ({first_chunk + 12: word(7, 4)}, True, "impossible place"),
             ({first_chunk: word(0, 8)}, True, "impossible place"),
             ({first_chunk + 24: place_of_first}, True, "overlap at byte "), ({64: b"p"}, True, "in their order"),
             ({64 + 56: word(2**20, 8), 64 + 52: word(2**20, 4), first_chunk + 12: word(36 * 2**20, 4)}, True,
              "impossible place"),
             ({first_chunk: word(1, 1)}, False, "its table's checksum is wrong"),
             ({first_chunk + 16: word(1, 1)}, True, "dataset q, group 0: its checksum is wrong")]
    for changes, seal, words in cases:
        bad = out / "bad"
        shutil.copytree(good, bad)
        patched(bad / name, changes, seal)
        raises(words, read_stored, bad)
        raises(name, read_stored, bad)
        shutil.rmtree(bad)


def test_table_limits(out):
    """A table has at most 256 datasets and 1 GiB: nothing of what is longer is read, as a sparse file costs nothing."""
    def write(path, datasets, json_bytes):
        header, entries, chunks = (np.zeros(count, dtype) for count, dtype in ((1, HEADER), (datasets, DATASET), (datasets, CHUNK)))
        table = header.nbytes + entries.nbytes + chunks.nbytes + json_bytes + 8
        header[0] = (b"VITRINE\0", 2, 0, 0, 0, datasets, table, table, table + datasets, datasets, json_bytes, 0)
        for i in range(datasets):
            entries[i] = (f"d{i}".encode(), b"|u1", 1, 1, (1, 0, 0, 0, 0, 0, 0, 0), i, 1)
            chunks[i] = (table + i, 1, 1, 0)
        data = header.tobytes() + entries.tobytes() + chunks.tobytes()
        if json_bytes == 2:
            data += b"{}"
            data += word(xxh3(data), 8)
        path.write_bytes(data)
        os.truncate(path, table + datasets)

    write(out / "many.h5", 256, 2)
    assert len(vitrine_cache.Container(out / "many.h5").datasets) == 256
    write(out / "many.h5", 257, 2)
    raises("the sizes in its table do not add up", vitrine_cache.Container, out / "many.h5")
    write(out / "long.h5", 1, 2**30)
    raises("does not fit into its user block", vitrine_cache.Container, out / "long.h5")


def test_replaced(out):
    """A file that was replaced by another of equal size is not called damaged."""
    path, other = out / "replaced.h5", out / "cache/tiny.aaaaaaaa/features.3/00001.h5"
    shutil.copy(other, path)
    file = vitrine_cache.Container(path)
    first_chunk = 64 + 136 * len(file.datasets)
    content, at = other.read_bytes(), int(file.chunks["offset"][0])
    stored = bytearray(content[at:at + int(file.chunks["stored_bytes"][0])])
    stored[-1] ^= 1
    patched(path, {at: stored, first_chunk + 16: word(xxh3(bytes(stored)), 8)}, True)
    raises("the file changed while it was in use; start again", file.read, ["q"], 0)
    path.write_bytes(content)
    assert file.read(["q"], 0)
    patched(path, {at: stored}, False)
    raises("group 0: its checksum is wrong", file.read, ["q"], 0)


def test_ignorable(out):
    """A newer minor version and ignorable features are accepted."""
    bad = out / "newer"
    shutil.copytree(out / "cache", bad)
    patched(bad / "index.h5", {10: word(9, 2), 16: word(0xFF, 4)}, True)
    assert read_stored(bad) == read_stored(out / "cache")


def test_frames(out):
    """A frame that contradicts the table is refused although both checksums are valid."""
    name = "tiny.aaaaaaaa/features.3/00001.h5"
    content = vitrine_cache.Container(out / "cache" / name).read(["q"], 0)[0]
    frames = {"no checksum": zstandard.ZstdCompressor(write_checksum=False).compress(content),
              "or another size": compressed(content[:-1]), "cannot be decompressed": b"\1" * 40,
              "cannot be decompressed (": compressed(content) + b"\1"}
    for words, frame in frames.items():
        bad = out / "bad"
        shutil.copytree(out / "cache", bad)
        replace_chunk(bad / name, "q", frame)
        raises(words, read_stored, bad)
        shutil.rmtree(bad)


def test_payloads(out):
    """Arrays that no encoder makes, with valid checksums."""
    uniform, few = "uniform.aaaaaaaa/logits/00001.h5", "few.aaaaaaaa/logits/00001.h5"
    low = bytearray(vitrine_cache.Container(out / "cache" / uniform).read(["low"], 0)[0])
    index = bytearray(vitrine_cache.Container(out / "cache" / few).read(["index"], 0)[0])
    cases = [(uniform, "low", low, at, value, "impossible numbers")
             for at, value in [(0, 25), (1, 0), (1, 5), (2, 2), (4, 5)]]
    cases += [(uniform, "low", low, 0, 24, "expected at least"), (uniform, "low", low, 1, 4, "expected at least"),
              (few, "index", index, 3, 5, "class 5 of 5")]
    for name, array, content, at, value, words in cases:
        bad = out / "bad"
        shutil.copytree(out / "cache", bad)
        changed = content.copy()
        changed[at] = value
        replace_chunk(bad / name, array, compressed(bytes(changed)))
        raises(words, read_values, bad)
        shutil.rmtree(bad)


def test_any_payload(out):
    """Arrays of whole groups with flipped bits or truncated give values or one sentence."""
    draw, refused = random.Random(4), 0
    tracks = [track for track in Cache(out / "cache").tracks if any(array.whole_group for array in track.layout)]
    for trial in range(300):
        track = tracks[trial % len(tracks)]
        arrays = track.arrays(trial % 2, trial % 3)
        name = draw.choice(sorted(arrays))
        data = arrays[name].copy()
        data[draw.randrange(len(data) if trial % 4 else 16)] ^= 1 << draw.randrange(8)
        arrays[name] = data[:draw.randrange(len(data))] if trial % 5 == 0 else data
        try:
            assert track.decode(arrays, trial % 2, trial % 3).shape == (4, *track.shape)
        except CacheError as error:
            assert f"{track.directory}: pass {trial % 2}, group {trial % 3}: " in str(error)
            refused += 1
    assert refused > 60, refused


def test_native(out):
    """The compiled decoder has numpy's items to the bit, what products make of them but for rounding, and refuses what
    numpy refuses."""
    script = ("import sys, numpy; from vitrine_cache import Cache; track = Cache(sys.argv[1]).track('features.5', 'smooth')\n"
              "print(track.basis.native is not None, track.read(0, 0).shape)")

    def answer(native, isa=""):
        run = subprocess.run([sys.executable, "-c", script, out / "cache"], capture_output=True, text=True,
                             env={**os.environ, "VITRINE_NATIVE": native, "VITRINE_ISA": isa,
                                  "PYTHONPATH": str(pathlib.Path(vitrine_cache.__file__).parents[1])})
        return run.stdout + run.stderr.strip().split("\n")[-1]

    assert answer("").startswith("False"), answer("")
    (out / "none.so").write_bytes(b"no library")
    for name in ("nowhere.so", "none.so"):
        told = answer(str(out / name))
        assert told.startswith("vitrine_cache.errors.InputError: ") and "not a decoder for this machine" in told, told
    if not native.library():
        assert os.environ["VITRINE_NATIVE"] == "", "the compiled decoder is not there"
        return
    assert answer(os.environ["VITRINE_NATIVE"]).startswith("True")
    assert answer(os.environ["VITRINE_NATIVE"], "portable").startswith("True")
    unknown = answer(os.environ["VITRINE_NATIVE"], "sse")
    assert "VITRINE_ISA = sse is unknown; expected portable, avx2 or avx512" in unknown and "damaged" not in unknown, unknown
    assert unknown.startswith("vitrine_cache.errors.InputError: "), unknown

    def both(track, arrays, decode):
        results = []
        for way in (native.Decoder(native.library(), track.basis), None):
            vars(track.basis)["native"] = way
            try:
                results.append(track.decode(arrays, 0, 0, decode))
            except CacheError as error:
                results.append(str(error))
        return results

    def items(track, arrays):
        return transform.decode_map_items(track.basis, arrays["payload"], track.group)

    draw, refused, decoded, products = random.Random(5), 0, 0, set()
    for track in Cache(out / "cache").tracks:
        if track.encoding != "transform":
            continue
        coefficients = vitrine_cache.ENCODINGS["transform"].coefficients
        for group in range(3):
            arrays = track.arrays(1, group)
            assert equal_bits(*both(track, arrays, items))
            # A transform over positions is two products, whose last bits are the machine's (FORMAT.md).
            products.add(track.basis.rows is not None)
            assert (close if track.basis.rows is not None else equal_bits)(*both(track, arrays, coefficients))
            assert close(*both(track, arrays, None))
            for trial in range(60):
                data = arrays["payload"].copy()
                data[draw.randrange(len(data) if trial % 3 else 40)] ^= 1 << draw.randrange(8)
                own, numpys = both(track, {"payload": data[:draw.randrange(len(data))] if trial % 5 == 0 else data},
                                   items)
                assert type(own) is type(numpys), (own, numpys)
                if isinstance(own, str):
                    assert all(f'{track.directory}: pass 0, group 0: ' in problem for problem in (own, numpys))
                    refused += 1
                else:
                    assert equal_bits(own, numpys)
                    decoded += 1
        again = pickle.loads(pickle.dumps(track.basis))
        assert again.native is not None and np.array_equal(again.vectors, track.basis.vectors)
    assert refused > 30 and decoded > 30, (refused, decoded)
    assert True in products, products


def test_recipes_that_do_not_fit(out):
    good = Cache(out / "cache").recipes(0, 0)
    cut = int(np.flatnonzero(good["mix"] == 2)[0])
    cases = [("image", 0, 11), ("label", 0, 7), ("top", 0, -1), ("left", 1, 1000), ("height", 2, 0),
             ("width", 3, 2**31 - 1), ("flip", 0, 2), ("mix", 0, 3), ("partner", 1, 4), ("box_bottom", cut, 33),
             ("box_left", cut, 32)]
    for field, view, value in cases:
        bad = out / "bad"
        shutil.copytree(out / "cache", bad)
        recipes = good.copy()
        recipes[field][view] = value
        replace_chunk(bad / "recipes/00000.h5", "recipe", compressed(recipes.tobytes()))
        raises("names image 11 of 11" if field == "image" else "a recipe does not fit its image", read_stored, bad)
        shutil.rmtree(bad)


def test_flips_and_cuts(out):
    """A flipped bit has no effect (in HDF5 metadata) or is an error; so is a truncated file."""
    good = read_stored(out / "cache")
    draw = random.Random(3)
    files = sorted(path for path in (out / "cache").rglob("*.h5"))
    refused = 0
    for trial in range(250):
        path = files[trial % len(files)]
        data = path.read_bytes()
        table = int.from_bytes(data[24:32], "little")
        place = draw.randrange(table if trial % 2 else len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1:])
        try:
            assert read_stored(out / "cache") == good, (path, place)
        except CacheError as error:
            assert path.name in str(error)
            refused += 1
        path.write_bytes(data)
        if trial < len(files):
            path.write_bytes(data[:draw.randrange(len(data))])
            raises(path.name, read_stored, out / "cache")
            path.write_bytes(data)
    assert refused > 125, refused  # every flip in a table, and some of the others


def test_strangers(out):
    """Files of another plan, place or kind, and invalid texts, are refused."""
    def edit(name, old, new):
        def change(bad):
            text = (bad / name).read_text()
            assert old in text
            text = text.replace(old, new)
            (bad / name).write_text(with_new_check(text) if name.endswith("track.json") else text)
        return change

    def copy(a, b):
        return lambda bad: shutil.copy(bad / a, bad / b)

    tiny = "tiny.aaaaaaaa/features.3"
    cases = [(edit("plan.json", '"seed": 5', '"seed": 6'), "was made for another plan"),
             (edit("plan.json", '"images": 11', '"images": 12'), "does not belong to the index.h5 beside it"),
             (edit("plan.json", '"version": 2', '"version": 3'), "has format version 3, this program reads 2.x"),
             (edit("plan.json", '"version": 2', '"version": 1'), "has format version 1.x, which no release wrote"),
             (edit(tiny + "/track.json", '"version": 2', '"version": 3'), "has format version 3, this program reads 2.x"),
             (edit(tiny + "/track.json", '"version": 2', '"version": 1'), "has format version 1.x, which no release wrote"),
             (edit("plan.json", '"group"', '"grope"'), "settings.group is missing"),
             (edit("plan.json", "{", "["), "plan.json: cannot be read"),
             (edit(tiny + "/track.json", '"block": 3', '"block": 4'), "belongs in tiny.aaaaaaaa/features.4"),
             (edit(tiny + "/track.json", '"int8"', '"int9"'), "unknown encoding \"int9\""),
             (edit(tiny + "/track.json", '"level": 1', '"level": 2'), "has track.level 1, expected 2; the file belongs"),
             (edit(tiny + "/track.json", '"precision": "fp32"', '"precision": "bf16"'),
              "has track.made_with.precision \"fp32\", expected \"bf16\"; the file belongs"),
             (edit("few.aaaaaaaa/logits/track.json", '"kept"', '"kept_by"'),
              "codec.kept_by is a setting that this program does not know"),
             (copy(tiny + "/00000.h5", tiny + "/00001.h5"), "has shard 0, expected 1"),
             (copy(tiny + "/00000.h5", tiny + "/00002.h5"), "has pass 0, expected 1"),
             (copy("recipes/00000.h5", "recipes/00002.h5"), "has pass 0, expected 1"),
             (copy("recipes/00000.h5", tiny + "/00000.h5"), "is not a file of the kind \"vitrine shard\""),
             (copy("recipes/00000.h5", "index.h5"), "is not a file of the kind \"vitrine index\"")]
    for change, words in cases:
        bad = out / "bad"
        shutil.copytree(out / "cache", bad)
        change(bad)
        raises(words, read_stored, bad)
        shutil.rmtree(bad)


def test_settings(out):
    """Invalid settings of a plan or track give one sentence with the file and the key."""
    def change(name, *path):
        def act(value):
            def acts(bad):
                file = json.loads((bad / name).read_text())
                at = file
                for key in path[:-1]:
                    at = at[key]
                if value is None:
                    del at[path[-1]]
                else:
                    at[path[-1]] = value
                write_track(bad / name, file) if name.endswith("track.json") else (bad / name).write_text(json.dumps(file))
            return acts
        return act

    strange = ["x", [], {}, True, -1, 1e300, [[]], "9" * 70]
    cases = []
    for name, keys in {"few": ["max_error", "kept", "temperatures"], "uniform": ["max_error"],
                       "smooth": ["max_error", "basis"]}.items():
        track = f"{name}.aaaaaaaa/{'features.5' if name == 'smooth' else 'logits'}/track.json"
        for key in keys:
            needed = [None] if (name, key) != ("few", "max_error") else []  # absent means fp16
            cases += [(change(track, "codec", key)(value), track) for value in strange + needed]
        cases += [(change(track, "codec")(value), track) for value in strange + [None]]
        cases += [(change(track, key)(value), track) for key in ("shape", "block", "plan", "teacher", "made_with")
                  for value in ["", [], {}, True, 10**400, -5, [0], [2**33] * 4, None]]
    few = "few.aaaaaaaa/logits/track.json"
    cases += [(change(few, "codec", "temperatures")(value), few) for value in [[0], [1, 1.0], ["1"], [1e4], [2] * 17]]
    cases += [(change(few, "codec", "kept")(value), few) for value in [0, 5, 1.5]]
    cases += [(change("other.aaaaaaaa/logits/track.json", "codec")({"kept": 2}), "the encoding fp32 has no setting kept")]
    for key in json.loads((out / "cache/plan.json").read_text())["settings"]:
        cases += [(change("plan.json", "settings", key)(value), key) for value in strange + [None, 2**64]]
    cases += [(change("plan.json", "settings", "group")(value), "plan.json: ") for value in [3, 4.0, 0, 65538]]
    cases += [(change("plan.json", "settings", "new")(1), "unknown setting new"),
              (change("plan.json", "settings")([]), "plan.json: has no settings"),
              (lambda bad: (bad / "plan.json").write_text("[" * 200000), "plan.json: cannot be read (it is nested"),
              (change(few, "teacher", "later")(functools.reduce(lambda a, _: [a], range(31), 1)),
               few + ": cannot be read (it is nested too deeply)"),
              (lambda bad: (bad / "plan.json").write_bytes(b'{"format": "\xe9"}'), "plan.json: cannot be read"),
              (lambda bad: (bad / few).write_text((bad / few).read_text().replace("0.01", "NaN")), few)]
    bad = out / "bad"
    shutil.copytree(out / "cache", bad)
    for act, words in cases:
        for name in ("plan.json", *(path.relative_to(bad) for path in bad.glob("*/*/track.json"))):
            shutil.copy(out / "cache" / name, bad / name)
        act(bad)
        raises(words, whole, bad)
    shutil.rmtree(bad)


def test_check(out):
    """A changed byte of track.json is damage, whatever it still says; C++ and Python give the same message."""
    track, bad = "tiny.aaaaaaaa/attention.3", out / "bad"
    shutil.copytree(out / "cache", bad)
    path = bad / track / "track.json"
    good = path.read_text()
    wrong = "its check is missing or wrong; the file is damaged or was edited, copy or make it again"
    for old, new, words, kind in [('"level": 1', '"level": 2', wrong, CorruptError),
                                  ('"version": 2', '"version": 3', wrong, CorruptError),
                                  ('  "check"', '  "chuck"', wrong, CorruptError),
                                  (re.search(',\n  "check".*\n', good)[0], "\n", wrong, CorruptError)]:
        assert old in good
        path.write_text(good.replace(old, new))
        problem, = Cache(bad).problems
        assert str(problem.error) == f"{path}: {words}" == cpp_says(bad, track) and type(problem.error) is kind, problem
    for text in (with_new_check(good.replace('"version": 2', '"version": 3')),  # whole, or with checks of its own
                 re.sub(',\n  "check".*\n', "\n", good).replace('"version": 2', '"version": 3')):
        path.write_text(text)
        problem, = Cache(bad).problems
        assert type(problem.error) is NewerFormatError and str(problem.error) == cpp_says(bad, track), problem
    shutil.rmtree(bad)


def cpp_says(directory, track):
    """The problem that vitrine-cache info reports for a track, beginning with its file; empty if none."""
    run = subprocess.run([BIN / "vitrine-cache", "info", "--json", directory], capture_output=True, text=True)
    found = [bad["what"] for bad in json.loads(run.stdout)["unreadable"] if bad["directory"] == track]
    assert run.returncode == len(found) <= 1, run.stderr
    return found[0] if found else ""


def test_provenance(out):
    """Missing fields of a track's provenance, and fields of another type, are refused by C++ and Python with the same message."""
    track = "tiny.aaaaaaaa/attention.3"
    bad = out / "bad"
    shutil.copytree(out / "cache", bad)
    good = (bad / track / "track.json").read_text()

    def refused(*path, value=None, kind=CorruptError):
        changed = json.loads(good)
        at = functools.reduce(lambda inner, key: inner[key], path[:-1], changed)
        if value is None:
            del at[path[-1]]
        else:
            at[path[-1]] = value
        write_track(bad / track / "track.json", changed)
        theirs = cpp_says(bad, track)
        assert theirs, path
        problem, = Cache(bad).problems
        assert problem.path == track and str(problem.error) == theirs, (path, problem, theirs)
        assert type(problem.error) is kind, (path, problem)
        return theirs

    keys = [("teacher",), *(("teacher", key) for key in ("name", "weights_sha256", "architecture", "mean", "std", "crop_pct",
                                                        "interpolation", "class_list_sha256")),
            ("teacher", "architecture", "family"),
            ("heads",), ("heads", "kept"), ("heads", "mean"), ("made_with",),
            *(("made_with", key) for key in ("device", "precision", "micro_batch", "libraries")),
            *(("made_with", "device", key) for key in ("kind", "name", "capability", "instruction_sets"))]
    for path in keys:
        assert path[-1] + " is missing" in refused(*path)
        assert path[-1] in refused(*path, value=[{}])
    for path, value in [(("teacher", "license"), 5), (("teacher", "mean"), [0.5, 0.5]), (("teacher", "std"), [0, 1, 1]),
                        (("teacher", "crop_pct"), 0), (("teacher", "architecture"), []),
                        (("teacher", "name"), "../up"), (("made_with", "micro_batch"), 0),
                        (("made_with", "libraries"), {"libtorch": 2}), (("heads", "kept"), ["all"]),
                        (("recoded_from",), {}), (("recoded_from",), [{"encoding": 3, "level": 1, "track_sha256": "0" * 64}]),
                        (("recoded_from",), [{"encoding": "fp16", "level": 1, "track_sha256": "x"}]),
                        (("calibration_views",), -1), (("heads", "kept"), [0, -1]), (("level",), 0), (("level",), 20),
                        (("window",), 9), (("shape",), [2, 0, 3]), (("codec",), {"kept": -1}), (("codec",), {"kept": 2}),
                        (("codec",), {"temperatures": [1, "2"]}), (("codec",), {"basis": 5}), (("codec",), [])]:
        assert path[-1] in refused(*path, value=value) or {"teacher", "shape", "codec"} & set(path), (path, value)
    for path, value in [(("kind",), "gradients"), (("encoding",), "wavelets"), (("codec",), {"sharpness": 3})]:
        refused(*path, value=value, kind=NewerFormatError)  # only a newer version writes these

    # FORMAT.md's own example, which has every key.
    page = (pathlib.Path(__file__).resolve().parents[2] / "common/cache/FORMAT.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    example = re.sub(r'"([0-9a-f]{4})\.\.\."', lambda digits: f'"{digits[1] * 16}"', example)
    assert known(json.loads(example)).keys() | {"format", "version", "check"} == json.loads(example).keys()

    # What is absent says as much as its default; an encoding that a newer version recoded from is passed over.
    for path, value in [(("recoded_from",), []), (("window",), 0), (("codec",), {}), (("codec",), {"max_error": 0, "kept": 0, "temperatures": [], "basis": ""}),
                        (("calibration_views",), 0),
                        (("recoded_from",), [{"encoding": "wavelets", "sharpness": 3}])]:
        changed = json.loads(good)
        changed[path[0]] = value
        write_track(bad / track / "track.json", changed)
        assert cpp_says(bad, track) == ""
        whole(bad)
    shutil.rmtree(bad)


def test_later_keys(out):
    """Keys of a later minor version, in track.json or in a shard's copy of it, are passed over, by C++ as well (for the copies
    tests/cache/cache_test.cpp shows that)."""
    track = "tiny.aaaaaaaa/attention.3"

    def add(settings):
        settings["later"] = {"a": [1]}
        settings["teacher"]["later"] = "words"
        settings["made_with"]["device"]["later"] = True

    def in_track(bad):
        settings = json.loads((bad / track / "track.json").read_text())
        add(settings)
        write_track(bad / track / "track.json", settings)

    def in_shards(bad):
        for path in sorted((bad / track).glob("*.h5")):
            old = vitrine_cache.Container(path).text
            about = json.loads(old)
            add(about["track"])
            del about["written_by"]  # makes room
            new = json.dumps(about, separators=(",", ":"), ensure_ascii=False).encode()
            data = path.read_bytes()
            assert len(new) <= len(old) and data.count(old) == 2  # in the table, and for HDF5
            path.write_bytes(data.replace(old, b"{" + b" " * (len(old) - len(new)) + new[1:]))
            patched(path, {}, True)

    for change in (in_track, in_shards):
        bad = out / "bad"
        shutil.copytree(out / "cache", bad)
        change(bad)
        assert read_stored(bad) == read_stored(out / "cache")
        if change is in_track:
            run = subprocess.run([BIN / "vitrine-cache", "verify", bad], capture_output=True, text=True)
            assert run.returncode == 0, run.stdout + run.stderr
        shutil.rmtree(bad)


def test_names_that_are_no_text(out):
    ids = bytearray(vitrine_cache.Container(out / "cache/index.h5").read_all("id_bytes"))
    assert ids.count("är".encode()) == 5
    for at, byte, image in [(ids.index(b"apple/4") + 2, 0xE9, 2), (ids.index("är".encode()) + 1, ord("r"), 1),
                            (len(ids) - 1, 0xC3, 10), (0, 0x80, 0)]:
        bad, changed = out / "bad", ids.copy()
        changed[at] = byte
        shutil.copytree(out / "cache", bad)
        replace_chunk(bad / "index.h5", "id_bytes", compressed(bytes(changed)))
        raises(f"index.h5: the name of image {image} is not UTF-8", Cache, bad)
        shutil.rmtree(bad)
    bad = out / "bad"
    shutil.copytree(out / "cache", bad)
    offsets = vitrine_cache.Container(bad / "index.h5").read_all("id_offset").copy()
    offsets[2] = ids.index("är".encode()) + 1  # the name of image 1 ends inside of a letter
    replace_chunk(bad / "index.h5", "id_offset", compressed(offsets.tobytes()))
    raises("the name of image 1 is not UTF-8", Cache, bad)
    shutil.rmtree(bad)


def test_set_aside(out):
    """Files that vitrine-cache repair has renamed are not part of a cache."""
    bad = out / "set aside"
    shutil.copytree(out / "cache", bad)
    track = bad / "tiny.aaaaaaaa/features.3"
    for name in ("00000.h5", "00009.h5", "track.json", "basis.h5", "shards.json"):
        (track / f"{name}.damaged").write_bytes(b"damaged")
        (track / f"{name}.damaged.2").write_bytes(b"damaged")
    (bad / "recipes/00000.h5.damaged").write_bytes(b"damaged")
    assert read_stored(bad) == read_stored(out / "cache")
    assert Cache(bad).track("features.3").passes == Cache(out / "cache").track("features.3").passes
    shutil.rmtree(bad)


def test_info(out):
    run = subprocess.run([sys.executable, "-m", "vitrine_cache", "info",
                         out / "cache"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "11 images of 2 classes" in run.stdout
    assert "tiny.aaaaaaaa/features.3: int8 [6, 2, 3], passes 0-1, " in run.stdout
    assert "decoded by " + ("the compiled decoder" if native.library() else "numpy: ") in run.stdout
    run = subprocess.run([sys.executable, "-m", "vitrine_cache", "info",
                         out / "nowhere"], capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.startswith("vitrine_cache: ") and run.stderr.count("\n") == 1


def test_out(out):
    """read() and read_coefficients() fill an array that is given, for every encoding, and refuse others."""
    cache, encodings = whole(out / "cache"), set()
    for track in cache.tracks:
        encodings.add(track.encoding)
        room = np.full((cache.plan.group, *track.shape), np.nan, np.float32)
        assert track.read(1, 1, out=room) is room and equal_bits(room, track.read(1, 1)), track
        assert equal_bits(track.read(0, 1, room), track.read(0, 1)), track
        if track.encoding == "transform":
            assert track.read_coefficients(1, 1, out=room) is room and equal_bits(room, track.read_coefficients(1, 1))
        fixed = room.copy()
        fixed.flags.writeable = False
        for wrong, words in ((room[1:], "out = float32 ["), (room.astype(np.float64), "out = float64 ["), (fixed, "writeable"),
                             (np.asfortranarray(room), "in C order"), ([], "out = list")):
            if not (wrong is not fixed and getattr(wrong, "flags", None) is not None and wrong.shape == room.shape and
                    wrong.dtype == room.dtype and wrong.flags.c_contiguous):  # one axis: Fortran order is C order
                raises(words, lambda: track.read(1, 1, out=wrong))
    assert encodings == set(vitrine_cache.ENCODINGS)


def test_plain_native(out):
    """The compiled decoders of encodings without a basis are used, equal NumPy's to the bit, and leave what is wrong to them."""
    if native.library() is None:
        return
    decoded = set()
    for track in whole(out / "cache").tracks:
        coder = vitrine_cache.ENCODINGS[track.encoding]
        if coder.number is None:
            continue
        arrays = track.arrays(1, 1)
        values = np.empty((track.group, *track.shape), np.float32)
        assert native.decode_arrays(coder.number, track.shape, track.codec.get("max_error", 0.0), list(arrays.values()), values), track
        assert equal_bits(values, np.ascontiguousarray(coder.in_numpy(track, arrays))), track
        decoded.add(track.encoding)
        if track.encoding == "uniform":
            assert not native.decode_arrays(coder.number, track.shape, 1.0, [arrays["low"][:3], arrays["high"]], values)
            raises("array low has 3 bytes, expected at least 8", track.decode, {**arrays, "low": arrays["low"][:3]}, 1, 1)
    assert decoded == {"fp32", "fp16", "int8", "sqrt8", "uniform"}, decoded


def main():
    with tempfile.TemporaryDirectory() as name:
        out = pathlib.Path(name)
        subprocess.run([BIN / "write_cache", out], check=True)
        for test in (test_values, test_kept, test_coefficients, test_bases, test_index_and_recipes, test_names,
                     test_damaged_tables, test_table_limits, test_replaced, test_ignorable, test_frames, test_payloads, test_any_payload, test_native, test_out,
                     test_plain_native,
                     test_recipes_that_do_not_fit, test_flips_and_cuts, test_strangers, test_settings,
                      test_provenance, test_check, test_later_keys, test_names_that_are_no_text, test_set_aside, test_info):
            test(out)
    print("values, refusals and damage: alike")


if __name__ == "__main__":
    sys.exit(main())

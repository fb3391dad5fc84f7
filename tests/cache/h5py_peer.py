"""Reads a cache with h5py, hdf5plugin and the arithmetic of common/cache/FORMAT.md, and compares it bit for bit with our reader.

The table in the user block is parsed with struct as FORMAT.md describes it."""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import h5py
import hdf5plugin  # noqa: F401  registers the Zstandard filter
import numpy as np
import zstandard

GROUP, GROUPS_PER_PASS, SHARDS_PER_PASS, PASSES = 4, 3, 2, 2


def parse_table(data):
    """The user block's table: datasets with their chunks, and the JSON text."""
    assert data[:8] == b"VITRINE\0"
    major, _minor, required, _ignorable, n_datasets = struct.unpack_from("<HHIII", data, 8)
    table_bytes, user_block, file_bytes, n_chunks = struct.unpack_from("<QQQQ", data, 24)
    json_bytes, _reserved = struct.unpack_from("<II", data, 56)
    assert major == 2 and required in (0, 1)
    assert file_bytes == len(data)
    assert user_block >= 512 and user_block & (user_block - 1) == 0 and table_bytes <= user_block
    assert data[user_block:user_block + 8] == b"\x89HDF\r\n\x1a\n"
    assert table_bytes == 64 + 136 * n_datasets + 24 * n_chunks + json_bytes + 8
    at = 64 + 136 * n_datasets
    chunks = [struct.unpack_from("<QIIQ", data, at + 24 * i) for i in range(n_chunks)]
    at += 24 * n_chunks
    text = data[at:at + json_bytes].decode()
    assert data[at + json_bytes + 8:user_block] == b"\0" * (user_block - table_bytes)
    datasets = {}
    for i in range(n_datasets):
        name, dtype, rank, rows, *rest = struct.unpack_from("<32s16sII8QQQ", data, 64 + 136 * i)
        shape, (first, count) = tuple(rest[:8]), rest[8:]
        assert shape[rank:] == (0,) * (8 - rank)
        name, dtype = (word.rstrip(b"\0").decode() for word in (name, dtype))
        datasets[name] = (dtype, shape[:rank], rows, chunks[first:first + count])
    return datasets, text


def check_container(path):
    """The table against h5py: both must describe the same file and give the same rows."""
    data = path.read_bytes()
    datasets, text = parse_table(data)
    with h5py.File(path, "r") as file:
        attribute = file.attrs["vitrine"]
        assert (attribute.decode() if isinstance(attribute, bytes) else attribute) == text, path
        assert set(file) == set(datasets)
        for name, (dtype, shape, rows, chunks) in datasets.items():
            dataset = file[name]
            assert dataset.shape == shape and dataset.chunks == (rows, *shape[1:])
            assert dataset.dtype.itemsize == np.dtype(dtype).itemsize
            if dtype != "|V40":
                assert dataset.dtype == np.dtype(dtype), (path, name)
            values = dataset[...].tobytes()
            raw = b""
            for offset, stored, raw_bytes, _hash in chunks:
                frame = data[offset:offset + stored]
                parameters = zstandard.get_frame_parameters(frame)
                assert parameters.has_checksum and parameters.content_size == raw_bytes
                raw += zstandard.ZstdDecompressor().decompress(frame)
            assert raw[:len(values)] == values and not any(raw[len(values):]), (path, name)
    return json.loads(text)


def decode_uniform_group(low, high, step, count):
    """One group's two rows: `count` values of each of the views named in the row."""
    shift, width, with_mean, _zero, views = struct.unpack_from("<BBBBI", low)
    rows = views + with_mean
    planes = np.frombuffer(high, np.uint8, width * rows * count).reshape(width, rows, count).astype(np.int64)
    z = (planes << (8 * np.arange(width))[:, None, None]).sum(0)
    h = (z >> 1) ^ -(z & 1)
    if with_mean:
        h = h[1:] + h[:1]
    bits = np.unpackbits(np.frombuffer(low, np.uint8)[8:], bitorder="little")[:views * count * shift]
    rest = (bits.reshape(views, count, shift).astype(np.int64) << np.arange(shift)).sum(2)
    assert not any(low[8 + (views * count * shift + 7) // 8:]) and not any(high[width * rows * count:])
    return (((h << shift) | rest) * step).astype(np.float32)


def decode_topk(file, track):
    """All classes; those not kept share the tail's mass at the first temperature."""
    settings, classes = track["codec"], track["shape"][0]
    value, index, tail = (file[name][...] for name in ("value", "index", "tail"))
    if "max_error" in settings:
        value = value * (2 * settings["max_error"])
    others = settings["temperatures"][0] * (tail[:, 0].astype(np.float64) - np.log(classes - settings["kept"]))
    out = np.repeat(others.astype(np.float32)[:, None], classes, 1)
    np.put_along_axis(out, index.astype(np.int64), value.astype(np.float32), 1)
    return out


def decode(file, track):
    """FORMAT.md, 'Encodings'."""
    encoding = track["encoding"]
    if encoding in ("fp32", "fp16"):
        return file["values"][...].astype(np.float32)
    if encoding == "uniform":
        groups = zip(file["low"][...], file["high"][...])
        step, count = 2 * track["codec"]["max_error"], int(np.prod(track["shape"]))
        parts = [decode_uniform_group(low.tobytes(), high.tobytes(), step, count) for low, high in groups]
        return np.concatenate(parts).reshape(-1, *track["shape"])
    if encoding == "topk":
        return decode_topk(file, track)
    q = file["q"][...].astype(np.float32)
    if encoding == "int8":
        scale = file["scale"][...]
        return q * scale.reshape(scale.shape + (1,) * (q.ndim - scale.ndim))
    assert encoding == "sqrt8"
    root = q / np.float32(255)
    return root * root


def check_track(cache, directory, out):
    track = json.loads((directory / "track.json").read_text())
    parts = []
    for number in range(PASSES * SHARDS_PER_PASS):
        path = directory / f"{number:05d}.h5"
        attributes = check_container(path)
        assert attributes["track"] == {key: value for key, value in track.items() if key != "check"}
        assert (attributes["pass"], attributes["shard"]) == divmod(number, SHARDS_PER_PASS)
        with h5py.File(path, "r") as file:
            parts.append(decode(file, track))
            assert len(parts[-1]) == attributes["groups"] * GROUP
    values = np.concatenate(parts)
    assert values.shape == (PASSES * GROUPS_PER_PASS * GROUP, *track["shape"])
    block = "" if track["block"] < 0 else f".{track['block']}"
    ours = np.fromfile(out / f"{track['teacher']['name']}.{track['kind']}{block}.f32", np.float32)
    assert np.abs(values).max() > 0
    assert values.dtype == np.float32
    assert np.array_equal(values.reshape(-1).view(np.uint32), ours.view(np.uint32)), directory
    assert track["plan"] == hashlib.sha256((cache / "plan.json").read_bytes()).hexdigest()


def check_index(cache):
    attributes = check_container(cache / "index.h5")
    with h5py.File(cache / "index.h5", "r") as file:
        offsets, names = file["id_offset"][...], file["id_bytes"][...].tobytes()
        ids = [names[a:b].decode() for a, b in zip(offsets, offsets[1:])]
        assert attributes["classes"] == ["apple", "bär"]
        assert ids == [f"{attributes['classes'][i % 2]}/{i * i}.jpg" for i in range(11)]
        assert file["height"][...].tolist() == [20 + i for i in range(11)]
        assert file["width"][...].tolist() == [30 + 2 * i for i in range(11)]
        assert file["label"][...].tolist() == [i % 2 for i in range(11)]
        assert file["file_bytes"][...].tolist() == [1000 + i for i in range(11)]
        assert file["hash"][...].tolist() == [0x9E3779B97F4A7C15 * (i + 1) % 2**64 for i in range(11)]
        content = b"vitrine index 1\n" + pack(len(attributes["classes"]))
        content += b"".join(named(name.encode()) for name in attributes["classes"]) + pack(len(ids))
        columns = [file[name][...].tolist() for name in ("height", "width", "label", "file_bytes", "hash")]
        content += b"".join(named(id.encode()) + pack(*row) for id, row in zip(ids, zip(*columns)))
    assert attributes["format"] == "vitrine index" and attributes["images"] == 11
    assert attributes["hash"] == hashlib.sha256(content).hexdigest()
    return attributes


def pack(*numbers):
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def named(text):
    return pack(len(text)) + text


def check_plan(cache, index):
    """FORMAT.md, 'plan.json': the index's fields, every setting in its range, and the exact bytes of the text."""
    text = (cache / "plan.json").read_text()
    plan = json.loads(text)
    about = {"format": "vitrine plan", "version": 2, "images": index["images"], "classes": len(index["classes"]),
             "index": index["hash"]}
    settings = plan.pop("settings")
    assert plan == about and list(plan) == list(about)
    share = (float, 0, 1)
    ranges = {"seed": (int, 0, 2**63 - 1), "group": (int, 2, 65536), "shard_groups": (int, 1, 65536),
              "image_size": (int, 1, 65535), "min_area": share, "max_area": share, "min_ratio": (float, 0.01, 100),
              "max_ratio": (float, 0.01, 100), "flip": share, "mix_probability": share, "switch_probability": share,
              "mixup_alpha": (float, 0, 1000), "cutmix_alpha": (float, 0, 1000)}
    assert list(settings) == list(ranges)
    for name, (kind, low, high) in ranges.items():
        assert type(settings[name]) is kind and low <= settings[name] <= high, name
    assert text == json.dumps({**about, "settings": settings}, indent=2) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


def check_recipes(cache, out, plan):
    fields = [("image", "<u4"), ("label", "<u4"), ("top", "<i4"), ("left", "<i4"), ("height", "<i4"), ("width", "<i4"),
              ("flip", "u1"), ("mix", "u1"), ("partner", "<u2"), ("lambda", "<u2"), ("box_top", "<u2"),
              ("box_left", "<u2"), ("box_bottom", "<u2"), ("box_right", "<u2"), ("reserved", "<u2")]
    parts, hashes = [], []
    for number in range(PASSES * SHARDS_PER_PASS):
        path = cache / "recipes" / f"{number:05d}.h5"
        attributes = check_container(path)
        (pass_, shard), groups = divmod(number, SHARDS_PER_PASS), [2, 1][number % SHARDS_PER_PASS]
        assert attributes.pop("written_by").keys() == {"vitrine", "hdf5", "zstd"}
        assert attributes == {"format": "vitrine recipes", "plan": plan, "pass": pass_, "shard": shard,
                              "first_group": 2 * shard, "groups": groups}
        with h5py.File(path, "r") as file:
            parts.append(file["recipe"][...])
            hashes += file["picture_hash"][...].tolist()
    recipes = np.concatenate(parts)
    assert recipes.dtype == np.dtype(fields)
    assert recipes.tobytes() == (out / "recipes.bin").read_bytes()
    assert hashes == [0xF000000000000000 + p * 1000 + g for p in range(PASSES) for g in range(GROUPS_PER_PASS)]


def main():
    with tempfile.TemporaryDirectory() as name:
        out = pathlib.Path(name)
        subprocess.run([os.environ["VITRINE_BIN"] + "/write_cache", name], check=True)
        cache = out / "cache"
        plan = check_plan(cache, check_index(cache))
        check_recipes(cache, out, plan)
        tracks = sorted(path.parent for path in cache.glob("*/*/track.json"))
        # tests/tools/python_reader_test.py covers the transform encoding.
        tracks = [path for path in tracks if json.loads((path / "track.json").read_text())["encoding"] != "transform"]
        assert len(tracks) == 9
        for directory in tracks:
            check_track(cache, directory, out)
    print("index, recipes and", len(tracks), "tracks read alike")


if __name__ == "__main__":
    sys.exit(main())

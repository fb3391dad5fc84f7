#!/usr/bin/env python3
"""What a PyTorch user would write to read a cache of targets, as good as it gets without processes: the peer of vitrine-bench read.

    read_peer.py DIR [--rounds N]

DIR holds logits.f32, features.f32 and attention.f32, raw floats of [views, 1000], [views, 192, 14, 14] and [views, 3, 14, 14].
They are stored once in DIR/peer.h5 (float16; int8 with a float32 scale per view and channel; uint8 of the square root; byte
shuffle, Zstandard level 3, one chunk a group of 64 views) and then read group by group: whole chunks with h5py and hdf5plugin,
dequantised by torch on one thread, in three ways: `usual`, as data sets are written, with new arrays for each group, `reused`,
into buffers that were made once, and `plain`, the latter from DIR/plain.h5, which has no shuffle and no compression. Prints one JSON object: for each way the CPU seconds of each round over all groups; `bytes` of
peer.h5; `views`.
"""
import argparse
import json
import os
import pathlib
import time

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
import h5py
import hdf5plugin
import numpy as np
import torch

GROUP = 64
SHAPES = {"logits": (1000,), "features": (192, 14, 14), "attention": (3, 14, 14)}


def encode(name, x):
    if name == "logits":
        return {name: x.astype(np.float16)}
    if name == "attention":
        return {name: np.rint(255 * np.sqrt(x)).astype(np.uint8)}
    scale = np.abs(x).max((2, 3)) / 127
    return {name: np.rint(x / np.maximum(scale, 1e-30)[..., None, None]).astype(np.int8), "scale": scale}


def write(directory, path, compression):
    with h5py.File(path, "w") as file:
        for name, shape in SHAPES.items():
            values = np.memmap(directory / f"{name}.f32", np.float32, "r").reshape(-1, *shape)
            for dataset, rows in encode(name, values).items():
                file.create_dataset(dataset, data=rows, chunks=(GROUP, *rows.shape[1:]), **compression)


class Reader:
    def __init__(self, path):
        self.sets = dict(h5py.File(path))
        self.views = len(self.sets["logits"])
        self.raw = {n: np.empty((GROUP, *d.shape[1:]), d.dtype) for n, d in self.sets.items()}
        self.seen = {n: torch.from_numpy(a) for n, a in self.raw.items()}
        self.out = {n: torch.empty(GROUP, *shape) for n, shape in SHAPES.items()}

    def usual(self, g):
        rows = {n: torch.from_numpy(d[g * GROUP:(g + 1) * GROUP]) for n, d in self.sets.items()}
        return {"logits": rows["logits"].float(), "features": rows["features"].float() * rows["scale"][..., None, None],
                "attention": (rows["attention"].float() / 255).square()}

    def reused(self, g):
        for name, dataset in self.sets.items():
            dataset.read_direct(self.raw[name], np.s_[g * GROUP:(g + 1) * GROUP])
        out, seen = self.out, self.seen
        out["logits"].copy_(seen["logits"])
        torch.mul(seen["features"], seen["scale"][..., None, None], out=out["features"])
        out["attention"].copy_(seen["attention"]).div_(255).square_()
        return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    torch.set_num_threads(1)
    path = a.directory / "peer.h5"
    write(a.directory, path, {"shuffle": True, **hdf5plugin.Zstd(clevel=3)})
    write(a.directory, a.directory / "plain.h5", {})
    reader = Reader(path)
    ways = {"usual": reader.usual, "reused": reader.reused, "plain": Reader(a.directory / "plain.h5").reused}
    seconds = {way: [] for way in ways}
    for _ in range(a.rounds + 1):  # the first round warms up
        for way, times in seconds.items():
            start = time.process_time()
            for g in range(reader.views // GROUP):
                ways[way](g)
            times.append(time.process_time() - start)
    print(json.dumps({way: times[1:] for way, times in seconds.items()} | {"bytes": path.stat().st_size, "views": reader.views}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The Python package reading pass 0 of a cache, group by group: what vitrine-bench package compares with the C++ reader.

    package_peer.py CACHE [--images IMAGES] [--rounds N]

Prints one JSON object: for each track, by its directory below the cache, " as coefficients" for a transform track's, and for "pictures",
the CPU seconds of each round.
"""
import argparse
import json
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "python"))
from vitrine_cache import Cache, Views, native  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache")
    parser.add_argument("--images")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if native.library() is None:
        sys.exit("package_peer: the compiled codec is not built; tools/build.sh vitrine_native")
    cache = Cache(options.cache)
    work = {}
    for track in cache.tracks:
        out = np.empty((cache.plan.group, *track.shape), np.float32)
        name = track.directory.relative_to(cache.directory).as_posix()
        work[name] = lambda group, track=track, out=out: track.read(0, group, out=out)
        if track.encoding == "transform":
            work[name + " as coefficients"] = lambda group, track=track, out=out: track.read_coefficients(0, group, out=out)
    if options.images:
        views = Views(options.images, cache)
        work["pictures"] = lambda group: views.read(0, group)
    seconds = {name: [] for name in work}
    for round_ in range(options.rounds + 1):  # the first one warms up
        for name, read in work.items():
            start = time.thread_time()
            for group in range(cache.plan.groups_per_pass):
                read(group)
            seconds[name].append(time.thread_time() - start)
    print(json.dumps({name: times[1:] for name, times in seconds.items()}))


if __name__ == "__main__":
    main()

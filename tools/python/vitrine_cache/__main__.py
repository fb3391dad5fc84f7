"""python -m vitrine_cache info|verify|export: what a cache holds, whether it can be read, and its tracks as plain arrays."""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from ._version import __version__
from .cache import Cache
from .errors import CacheError, CorruptError, InputError, IoError, NewerFormatError, ResourceError
from .native import library


def spans(numbers: Sequence[int]) -> str:
    """Numbers as ranges.

    >>> spans([0, 1, 2, 5]), spans([])
    ('0-2, 5', 'none')
    """
    out: list[list[int]] = []
    for n in numbers:
        if out and n == out[-1][1] + 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in out) or "none"


def info(arguments: argparse.Namespace) -> int:
    """Prints the contents and unusable parts. Returns the exit code: 1 if something cannot be used."""
    cache = Cache(arguments.directory)
    plan = cache.plan
    without = int((cache.labels < 0).sum())
    print(f"{len(cache.index)} images of {len(cache.classes)} classes" +
          (f", {without} of them without a label" if without else ""))
    print(f"plan {plan.hash[:8]}: {json.dumps(plan.settings)}")
    print(f"a pass: {plan.groups_per_pass} groups of {plan.group} views in {plan.shards_per_pass} shards")
    print(f"recipes: passes {spans(cache.recipe_passes)}")
    for track in cache.tracks:
        stored = track.shard_directory.stored_bytes()
        views = sum(plan.place(number)[2] for number in track.shard_directory.numbers) * plan.group
        print(f"{track.directory.parent.name}/{track.name}: {track.encoding} {list(track.shape)}, passes "
              f"{spans(track.passes)}, {stored:,} bytes" + (f", {stored / views:,.0f} per view" if views else ""))
    if any(track.encoding == "transform" for track in cache.tracks):
        print("transform tracks are decoded by " + ("the compiled decoder" if library() else
              "numpy: many times as fast with the compiled decoder (pip install, or tools/build.sh vitrine_native)"))
    if cache.problems:
        print("not readable (vitrine-cache verify says more, repair helps):")
    for problem in cache.problems:
        print(f"  {problem.path}: {problem.error}")
    return 1 if cache.problems else 0


def verify(arguments: argparse.Namespace) -> int:
    """Reads everything and prints a line for each problem. Returns the exit code: 1 if there is one."""
    from .verify import problems
    cache, count = Cache(arguments.directory), 0
    for count, sentence in enumerate(problems(cache), 1):
        print(sentence, flush=True)
    shards = sum(len(track.shard_directory.numbers) for track in cache.tracks)
    print(f"{len(cache.recipe_files.numbers)} files of recipes, {shards} shards of {len(cache.tracks)} tracks: " +
          (f"{count} problems" if count else "all is well"))
    return 1 if count else 0


def export(arguments: argparse.Namespace) -> int:
    """Writes plain arrays."""
    from .export import export as write
    passes = write(Cache(arguments.directory), arguments.out, arguments.tracks, arguments.encoding, arguments.passes)
    print(f"{arguments.out}: passes {spans(passes)}, as {arguments.encoding}")
    return 0


# Exit codes as in the C++ programs.
EXIT_CODES: dict[type[CacheError], int] = {InputError: 2, IoError: 3, CorruptError: 4, NewerFormatError: 5, ResourceError: 6}


def main() -> int:
    parser = argparse.ArgumentParser(prog="vitrine_cache", description="Reads a vitrine cache.")
    parser.add_argument("--version", action="version", version=f"vitrine_cache {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for run, words in ((info, "what a cache holds"), (verify, "read every byte, and say what is damaged"),
                       (export, "write tracks as plain arrays: .npy files or HDF5")):
        command = commands.add_parser(run.__name__, help=words, description=words)
        command.set_defaults(run=run)
        command.add_argument("directory", metavar="DIR", help="the cache")
        if run is export:
            command.add_argument("out", metavar="OUT", help="a new directory, or a new file that ends in .h5")
            command.add_argument("--tracks", nargs="+", metavar="TRACK", help="logits, features.11, ...; by default all")
            command.add_argument("--passes", nargs="+", type=int, metavar="N", help="by default all that are complete")
            command.add_argument("--encoding", default="fp16", help="fp16 (the default) or fp32")
    arguments = parser.parse_args()
    try:
        code: int = arguments.run(arguments)
        return code
    except CacheError as problem:
        print(f"vitrine_cache: {problem}", file=sys.stderr)
        return EXIT_CODES.get(type(problem), 2)


if __name__ == "__main__":
    sys.exit(main())

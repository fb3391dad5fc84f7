"""python -m vitrine_cache info DIR: prints the contents of a cache."""
import argparse
import json
import sys

from .cache import Cache
from .errors import CacheError, CorruptError, InputError, IoError, NewerFormatError, ResourceError
from .native import library


def spans(numbers):
    """[0, 1, 2, 5] as "0-2, 5"."""
    out = []
    for n in numbers:
        if out and n == out[-1][1] + 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in out) or "none"


def info(directory):
    """Prints the contents and unusable parts. Returns the exit code: 1 if something cannot be used."""
    cache = Cache(directory)
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
              "numpy: many times as fast with libvitrine_native.so (tools/build.sh vitrine_native)"))
    if cache.problems:
        print("not readable (vitrine-cache verify says more, repair helps):")
    for problem in cache.problems:
        print(f"  {problem.path}: {problem.error}")
    return 1 if cache.problems else 0


# Exit codes as in the C++ programs.
EXIT_CODES = {InputError: 2, IoError: 3, CorruptError: 4, NewerFormatError: 5, ResourceError: 6}


def main():
    parser = argparse.ArgumentParser(prog="vitrine_cache", description="Reads a vitrine cache.")
    commands = parser.add_subparsers(dest="command", required=True)
    about = commands.add_parser("info", help="what a cache holds")
    about.add_argument("directory")
    arguments = parser.parse_args()
    try:
        return info(arguments.directory)
    except CacheError as problem:
        print(f"vitrine_cache: {problem}", file=sys.stderr)
        return EXIT_CODES.get(type(problem), 2)


if __name__ == "__main__":
    sys.exit(main())

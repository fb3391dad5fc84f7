"""Reads a vitrine cache in Python 3.10 or later: numpy and zstandard are needed, Pillow for pictures, torch for training.

It follows common/cache/FORMAT.md, checks every checksum and gives the numbers that the C++ reader gives. Copy this file
and the folder vitrine_reader beside it wherever you train. The package `xxhash`, where it is installed, makes checksums
free. Transform tracks are read many times as fast with libvitrine_native.so, which the build leaves in build/lib: it is
taken from there, or from the folder vitrine_reader.

Training a student from a cache, on the very pixels that the teacher saw (with PYTHONPATH=vitrine/tools):

    import torch, torchvision
    from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax
    from vitrine_cache import Cache, VitrineDataset
    cache, t = Cache("demo/cache"), 4.0
    teacher = cache.track("logits")
    student = torchvision.models.resnet18(num_classes=teacher.shape[0])
    sgd = torch.optim.SGD(student.parameters(), 0.05, momentum=0.9, nesterov=True)
    colours = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    data = VitrineDataset("demo/images/student", cache, ["logits"], normalise=colours)
    loader = torch.utils.data.DataLoader(data, batch_size=2, shuffle=True, num_workers=4, persistent_workers=True)
    for data.pass_ in teacher.passes:
        for item in loader:
            scores, own = student(item["pictures"]), item["own_share"]
            hard = (own * cross_entropy(scores, item["labels"], reduction="none") +
                    (1 - own) * cross_entropy(scores, item["partner_labels"], reduction="none")).mean()
            soft = kl_div(log_softmax(scores / t, 1), softmax(item["targets"]["logits"] / t, 1), reduction="batchmean")
            sgd.zero_grad(), (0.1 * hard + 0.9 * t**2 * soft).backward(), sgd.step()

Views are mixed within a group of 32 or 64 of them (plan.json), so that an item of the data set is a whole group, and
`batch_size` counts groups: here 2. Of a topk track, which has a teacher's largest logits and the mass of the others,
kept=True gives what is stored, and the loss is one over these classes and "any other":

            soft = topk_kl_divergence(scores, item["targets"]["logits"], t)    # t: one of the track's temperatures

Targets without torch:

    values = Cache("demo/cache").track("features.3").read(0, 5)    # pass 0, group 5: float32 [group, C, H, W]

What a cache has and cannot be used (a damaged track.json, a directory where a file should be) is in Cache.problems, and
fails nothing before it is asked for. Errors are CacheErrors, one sentence each: InputError, IoError, CorruptError,
NewerFormatError, ResourceError.

On the command line:

    python tools/vitrine_cache.py info DIR
"""
import argparse
import json
import sys

from vitrine_reader.cache import (NO_LABEL, RECIPE, Cache, Index, Plan, Problem, Track, hashed_view, left_out,
                                  own_share)
from vitrine_reader.container import Container
from vitrine_reader.errors import CacheError, CorruptError, InputError, IoError, NewerFormatError, ResourceError
from vitrine_reader.forms import FORMS
from vitrine_reader.native import library

__all__ = ["Cache", "CacheError", "Container", "CorruptError", "FORMS", "Index", "InputError", "IoError", "NO_LABEL",
           "NewerFormatError", "Plan", "Problem", "RECIPE", "ResourceError", "Track", "VitrineDataset", "Views", "concatenate",
           "hashed_view", "left_out", "own_share", "topk_kl_divergence"]


def __getattr__(name):
    """Names that need PIL or torch: imported by who asks for them."""
    if name in ("VitrineDataset", "concatenate", "topk_kl_divergence"):
        from vitrine_reader import dataset
        return getattr(dataset, name)
    if name == "Views":
        from vitrine_reader.views import Views
        return Views
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
    """Prints what there is. Returns the exit code: 1 where something cannot be used, which is told too."""
    cache = Cache(directory)
    plan = cache.plan
    without = int((cache.labels < 0).sum())
    print(f"{len(cache.index)} images of {len(cache.classes)} classes" +
          (f", {without} of them without a label" if without else ""))
    print(f"plan {plan.hash[:8]}: {json.dumps(plan.settings)}")
    print(f"a pass: {plan.groups_per_pass} groups of {plan.group} views in {plan.shards_per_pass} shards")
    print(f"recipes: passes {spans(cache.recipe_passes)}")
    for track in cache.tracks:
        stored = track.shelf.stored_bytes()
        views = sum(plan.place(number)[2] for number in track.shelf.numbers) * plan.group
        print(f"{track.directory.parent.name}/{track.name}: {track.form} {list(track.shape)}, passes "
              f"{spans(track.passes)}, {stored:,} bytes" + (f", {stored / views:,.0f} per view" if views else ""))
    if any(track.form == "transform" for track in cache.tracks):
        print("transform tracks are decoded by " + ("the compiled decoder" if library() else
              "numpy: many times as fast with libvitrine_native.so (tools/build.sh vitrine_native)"))
    if cache.problems:
        print("not readable (vitrine-cache verify says more, repair helps):")
    for problem in cache.problems:
        print(f"  {problem.path}: {problem.error}")
    return 1 if cache.problems else 0


EXIT_CODES = {InputError: 2, IoError: 3, CorruptError: 4, NewerFormatError: 5, ResourceError: 6}  # as the C++ programs have them


def main():
    parser = argparse.ArgumentParser(description="Reads a vitrine cache.")
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

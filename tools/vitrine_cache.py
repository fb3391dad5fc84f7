"""Reads a vitrine cache in Python: numpy and zstandard, PIL for pictures, torch for training; no compiled code of ours.

It follows common/cache/FORMAT.md, checks every checksum and gives the numbers that the C++ reader gives. Copy this file
and the folder vitrine_reader beside it wherever you train. Where it is installed, the package `xxhash` makes checksums
free. Transform tracks are read many times as fast with libvitrine_native.so, which the build leaves in build/lib: it is
taken from there, or from the folder vitrine_reader; without it, the package `numba` makes numpy's way twice as fast.

Training a student from a cache, on the very pixels that the teacher saw (with PYTHONPATH=vitrine/tools):

    import torch, torchvision
    from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax
    from vitrine_cache import Cache, VitrineDataset
    cache, t = Cache("demo/cache"), 4.0
    student = torchvision.models.resnet18(num_classes=len(cache.classes))
    sgd = torch.optim.SGD(student.parameters(), 0.05, momentum=0.9, nesterov=True)
    colours = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    for pass_ in cache.track("logits").passes:
        data = VitrineDataset("demo/images/student", cache, ["logits"], pass_, normalise=colours)
        for item in torch.utils.data.DataLoader(data, batch_size=None, shuffle=True, num_workers=4):
            scores, own = student(item["pictures"]), item["own_share"]
            hard = (own * cross_entropy(scores, item["labels"], reduction="none") +
                    (1 - own) * cross_entropy(scores, item["partner_labels"], reduction="none")).mean()
            soft = kl_div(log_softmax(scores / t, 1), softmax(item["targets"]["logits"] / t, 1), reduction="batchmean")
            sgd.zero_grad(), (0.1 * hard + 0.9 * t**2 * soft).backward(), sgd.step()

An item is a whole group, since views are mixed within it: that is the batch. Of a topk track, which has a teacher's
largest logits and the mass of the others, kept=True gives what is stored, and the loss is one over these classes and
"any other":

            soft = topk_kl_divergence(scores, item["targets"]["logits"], t)    # t: one of the track's temperatures

Targets without torch:

    values = Cache("demo/cache").track("features.11").read(0, 5)    # pass 0, group 5: float32 [group, C, H, W]

On the command line:

    python tools/vitrine_cache.py info DIR
"""
import argparse
import json
import sys

from vitrine_reader.cache import NO_LABEL, RECIPE, Cache, Index, Plan, Track, hashed_view, left_out, own_share
from vitrine_reader.container import CacheError, Container
from vitrine_reader.forms import FORMS

__all__ = ["Cache", "CacheError", "Container", "FORMS", "Index", "NO_LABEL", "Plan", "RECIPE", "Track",
           "VitrineDataset", "Views", "hashed_view", "left_out", "own_share", "topk_kl_divergence"]


def __getattr__(name):
    """Names that need PIL or torch: imported by who asks for them."""
    if name in ("VitrineDataset", "topk_kl_divergence"):
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
    """What there is, for people."""
    cache = Cache(directory)
    plan = cache.plan
    without = int((cache.labels == NO_LABEL).sum())
    print(f"{len(cache.index)} images of {len(cache.classes)} classes" +
          (f", {without} of them without a label" if without else ""))
    print(f"plan {plan.hash[:8]}: {json.dumps(plan.settings)}")
    print(f"a pass: {plan.groups_per_pass} groups of {plan.group} views in {plan.shards_per_pass} shards")
    print(f"recipes: passes {spans(cache.recipe_passes)}")
    for track in cache.tracks:
        stored = track.shelf.stored_bytes()
        views = sum(plan.place(number)[2] for number in track.shelf.numbers) * plan.group
        print(f"{track.directory.parent.name}/{track.name}: {track.form} {list(track.shape)}, passes "
              f"{spans(track.passes)}, {stored:,} bytes" + (f", {stored / views:,.0f} a view" if views else ""))


def main():
    parser = argparse.ArgumentParser(description="Reads a vitrine cache.")
    commands = parser.add_subparsers(dest="command", required=True)
    about = commands.add_parser("info", help="what a cache holds")
    about.add_argument("directory")
    arguments = parser.parse_args()
    try:
        info(arguments.directory)
    except CacheError as problem:
        print(f"vitrine_cache: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

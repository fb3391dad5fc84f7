"""Reads a vitrine cache in Python 3.10 or later. Needs numpy, zstandard and xxhash; Pillow for pictures, torch for
training.

Implements common/cache/FORMAT.md, verifies every checksum and gives the same values as the C++ reader. Copy this folder
wherever you train. With libvitrine_native.so, which the build puts into build/lib, transform tracks are read many times
faster; it is loaded from there or from this folder.

Modules, each using those before it: container, native, transform, encodings, cache, views, dataset.

Training a student from a cache, on exactly the pixels that the teacher saw (with PYTHONPATH=vitrine/tools/python):

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

Views are mixed within a group of 32 or 64 (plan.json), so an item of the data set is a whole group, and `batch_size`
counts groups: here 2. A topk track has the teacher's largest logits and the mass of the others; kept=True returns
these, and the loss is over these classes and "any other":

            soft = topk_kl_divergence(scores, item["targets"]["logits"], t)    # t: one of the track's temperatures

Targets without torch:

    values = Cache("demo/cache").track("features.3").read(0, 5)    # pass 0, group 5: float32 [group, C, H, W]

Unusable parts of a cache (a damaged track.json, a directory instead of a file) are listed in Cache.problems and raise
only when used. Errors are CacheErrors, one sentence each: InputError, IoError, CorruptError, NewerFormatError,
ResourceError.

On the command line:

    PYTHONPATH=tools/python python -m vitrine_cache info DIR
"""
from .cache import NO_LABEL, RECIPE, Cache, Index, Plan, Problem, Track, hashed_view, left_out, own_share
from .container import Container
from .encodings import ENCODINGS
from .errors import CacheError, CorruptError, InputError, IoError, NewerFormatError, ResourceError
from .native import library

__all__ = ["Cache", "CacheError", "Container", "CorruptError", "ENCODINGS", "Index", "InputError", "IoError", "NO_LABEL",
           "NewerFormatError", "Plan", "Problem", "RECIPE", "ResourceError", "Track", "VitrineDataset", "Views",
           "concatenate", "hashed_view", "left_out", "own_share", "topk_kl_divergence"]


def __getattr__(name):
    """Imports names that need PIL or torch on first use."""
    if name in ("VitrineDataset", "concatenate", "topk_kl_divergence"):
        from . import dataset
        return getattr(dataset, name)
    if name == "Views":
        from .views import Views
        return Views
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""tools/python/vitrine_cache with torch's DataLoader in all ways that training scripts use it, and what it refuses."""
import functools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
from PIL import Image
from reader_support import BIN, check, compressed, patched, raises, replace_chunk, word, write_track
from torch.nn.functional import cross_entropy
from torch.utils.data import ConcatDataset, DataLoader, DistributedSampler
from vitrine_cache import Cache, InputError, IoError, VitrineDataset, Views, topk_kl_divergence
from vitrine_cache import container


def same(a, b):
    """Checks that items, or parts of them, are bit-equal."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a.dtype == b.dtype and torch.equal(a, b)


def joined(items):
    first = items[0]
    return {key: joined([item[key] for item in items]) for key in first} if isinstance(first, dict) else torch.cat(items)


def test_workers(folder):
    """Workers of either kind, also persistent ones, give the same data as this process, of the requested pass."""
    make = functools.partial(VitrineDataset, folder / "images", Cache(folder / "cache"), ["logits", "features.1"])
    wanted = [[make(pass_)[group] for group in range(2)] for pass_ in range(3)]
    check(not same(wanted[0][0], wanted[1][0]))
    for start, persistent in (("fork", False), ("fork", True), ("spawn", True)):
        data = make()
        loader = DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context=start, persistent_workers=persistent)
        for data.pass_ in (0, 2, 1):
            items = list(loader)
            check(len(items) == 2 and all(map(same, items, wanted[data.pass_])), (start, persistent, data.pass_))
    both = DataLoader(ConcatDataset([make(0), make(2)]), batch_size=None, num_workers=2)
    check(all(map(same, both, wanted[0] + wanted[2])))
    data = make(1)
    raises("pass 8 of recipes is not complete", setattr, data, "pass_", 8)
    check(data.pass_ == 1 and same(data[0], wanted[1][0]))


def test_samplers(folder):
    """Groups may be indexed by tensors and numpy integers; several ranks share them."""
    data = VitrineDataset(folder / "images", Cache(folder / "cache"), ["logits"], np.int64(3))
    wanted = [data[0], data[1]]
    for one in (torch.tensor(1), np.int64(1), np.uint8(1), np.array(1)):
        check(same(data[one], wanted[1]))
    for sampler in (torch.tensor([1, 0]), np.array([1, 0])):
        check(all(map(same, DataLoader(data, batch_size=None, sampler=sampler), wanted[::-1])))
    for strange in (2, -1, torch.tensor(2)):
        try:
            data[strange]
        except IndexError:
            continue
        raise AssertionError(f"group {strange} was read")
    ranks = [list(DataLoader(data, batch_size=None, sampler=DistributedSampler(data, 2, rank, shuffle=False)))
             for rank in range(2)]
    check([len(items) for items in ranks] == [1, 1] and all(same(ranks[i][0], wanted[i]) for i in range(2)))


def test_batches(folder):
    """A loader's batch_size counts groups, which are joined along the views, and never stacked."""
    for tracks, kept in ((["logits", "features.1", "attention.1"], False), (["logits"], True)):
        data = VitrineDataset(folder / "images", Cache(folder / ("few" if kept else "cache")), tracks, kept=kept)
        items = [data[0], data[1]]
        for workers in (0, 2):
            check(all(map(same, DataLoader(data, num_workers=workers), items)), "one group a batch")
            batch, = DataLoader(data, batch_size=4, num_workers=workers)
            check(batch["pictures"].shape == (16, 3, 32, 32) and same(dict(batch), joined(items)))
    batch, = DataLoader(ConcatDataset([data, data]), batch_size=4)
    check(same(dict(batch), joined(items + items)))
    scores = torch.randn(32, 3)
    halves = [topk_kl_divergence(scores[:16], joined(items)["targets"]["logits"], 2.0),
              topk_kl_divergence(scores[16:], joined(items)["targets"]["logits"], 2.0)]
    check(abs(topk_kl_divergence(scores, batch["targets"]["logits"], 2.0) - sum(halves) / 2) < 1e-6)


def test_refusals(folder):
    """Invalid arguments are refused when the data set is made, in one sentence with what was expected."""
    cache, other = Cache(folder / "cache"), Cache(folder / "few")
    make = functools.partial(VitrineDataset, folder / "images", cache)
    raises("nowhere: is not a directory; expected the folder that the cache's index was made from", VitrineDataset,
           folder / "nowhere", cache, [])
    raises("is not a directory; expected the folder of the cache's images without labels",
           functools.partial(make, unlabelled=folder / "nowhere"), [])
    for size in (-3, 0, 65536, 2.5, "32", True, (32, 32)):
        raises(f"size = {size!r} is not allowed; expected an integer from 1 to 65535", functools.partial(make, size=size), [])
    for colours in ((.5, .5), 0.5, ((.5, .5), (.5, .5)), ((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)),
                    ((.5, .5, .5), (.5, 0, .5)), ((.5, .5, float("nan")), (.5, .5, .5)), "imagenet"):
        raises("expected (mean, std), three numbers each, of colours in 0..1", functools.partial(make, normalise=colours), [])
    for tracks in ("logits", None, 3, cache.track("logits")):
        raises('expected a list of names or Tracks, such as ["logits"]', make, tracks)
    raises("has no track of the name logit; it has small.", make, ["logit"])
    raises("a track's name 3 is not allowed", make, [3])
    raises("pass -1 of recipes is not complete", make, [], -1)
    plain = make(["small/logits"], size=np.int64(20), normalise=torch.full((2, 3), 0.5))[0]
    check(plain["pictures"].shape == (8, 3, 20, 20) and list(plain["targets"]) == ["logits"])
    raises("belongs to another plan", make, [other.track("logits")])


def test_two_teachers(folder):
    """Tracks of the same name from two teachers can both be read."""
    both = folder / "two"
    shutil.copytree(folder / "cache", both)
    place, = both.glob("small.*/logits")
    other = both / place.parent.name.replace("small", "large") / "logits"
    other.parent.mkdir()
    shutil.copytree(place, other)
    track = other / "track.json"
    settings = json.loads(track.read_text())
    settings["teacher"]["name"] = "large"
    write_track(track, settings)
    for path in other.glob("*.h5"):  # each has a copy of it in the table, and for HDF5
        content = path.read_bytes()
        check(content.count(b'"teacher":{"name":"small"') == 2, path)
        path.write_bytes(content.replace(b'"teacher":{"name":"small"', b'"teacher":{"name":"large"'))
        patched(path, {}, True)
    cache = Cache(both)
    check(not cache.problems, cache.problems)
    raises("has several tracks of the name logits", cache.track, "logits")
    data = VitrineDataset(folder / "images", cache, [cache.track("logits", "small"), "small/features.1"])
    check(list(data[0]["targets"]) == ["logits", "features.1"])
    data = VitrineDataset(folder / "images", cache, ["small/logits", "large/logits"])
    check(sorted(data.tracks) == sorted(f"{t}.{place.parent.name.split('.')[1]}/logits" for t in ("small", "large")))
    small, large = data[1]["targets"].values()
    check(torch.equal(small, large))


def test_other_pixels(folder):
    """Pictures that another decoder made are refused, or on request allowed, reported once and counted."""
    other = folder / "other pixels"
    shutil.copytree(folder / "cache", other)
    replace_chunk(other / "recipes/00000.h5", "picture_hash", compressed(word(1, 8)))  # of pass 0, group 0
    cache = Cache(other)
    data = VitrineDataset(folder / "images", cache, [])
    raises("has other pixels than the teacher saw", data.__getitem__, 0)
    loader = DataLoader(data, batch_size=2, num_workers=1)
    raises("has other pixels than the teacher saw", next, iter(loader))  # out of a worker it comes as the same error
    check(data[1]["pictures"].shape == (8, 3, 32, 32) and data.other_pictures == 0)
    wanted = VitrineDataset(folder / "images", Cache(folder / "cache"), [])[0]
    for workers in (0, 2):
        data = VitrineDataset(folder / "images", cache, [], allow_pictures=True)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            items = [list(DataLoader(data, batch_size=None, num_workers=workers)) for _ in range(2)][-1]
        check(same(items[0], wanted) and data.other_pictures == 1, data.other_pictures)
        if workers == 0:
            check(len(told) == 1 and "other pixels than the teacher saw, first in pass 0, group 0" in str(told[0].message), told)
        data.pass_ = 1
        check(len(list(DataLoader(data, batch_size=None, num_workers=workers))) == 2 and data.other_pictures == 0)


def test_what_pillow_refuses(folder):
    """An image that Pillow cannot decode is reported with its file, whatever Pillow raises."""
    cache = Cache(folder / "cache")
    views, limit = Views(folder / "images", cache), Image.MAX_IMAGE_PIXELS
    path = folder / "images" / cache.index.id(0)
    try:
        Image.MAX_IMAGE_PIXELS = 100
        raises(f"{path}: Pillow refuses to decode it (", views.picture, 0)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    broken = folder / "broken"
    shutil.copytree(folder / "images", broken)
    views = Views(broken, cache)
    for image, name in enumerate(cache.ids):
        content = (broken / name).read_bytes()
        for cut in (b"", content[:4], content[:len(content) // 2], b"GIF89a" + content[:20]):
            (broken / name).write_bytes(cut)
            cache.index.file_bytes, cache.index.hash = (column.copy() for column in (cache.index.file_bytes, cache.index.hash))
            cache.index.file_bytes[image], cache.index.hash[image] = len(cut), container.xxh3(cut)
            raises(f"{broken / name}: Pillow cannot decode it (", views.picture, image)


def test_opened_once(folder):
    """An item opens the file of its recipes once, and each track's shard once, after the first has read their tables."""
    data = VitrineDataset(folder / "images", Cache(folder / "cache"), ["logits", "features.1"])
    data[1]
    opened, original = [], container._File.__init__

    def note(file, path):
        opened.append(pathlib.Path(path).relative_to(folder / "cache").parent.name)
        original(file, path)

    container._File.__init__ = note
    try:
        data[1]
    finally:
        container._File.__init__ = original
    check(sorted(opened) == ["features.1", "logits", "recipes"], opened)


def test_features_alone(folder):
    """A cache of feature maps without labels or logits can be trained on: cross_entropy of absent labels is zero."""
    words = [folder / "extract.toml", "--set", "labels=none", "--set", "taps.logits=false", "--set", "check_images=0", "--set",
             f"cache={folder}/maps", "--set", "passes=1", "--set", "taps.attention=[]"]
    run = subprocess.run([BIN / "vitrine-extract", *words], capture_output=True, text=True)
    check(run.returncode == 0, run.stderr)
    cache = Cache(folder / "maps")
    check(cache.classes == [] and (cache.labels == -1).all() and [t.name for t in cache.tracks] == ["features.1"])
    item, = DataLoader(VitrineDataset(folder / "images", cache, ["features.1"]), batch_size=2)
    check(item["targets"]["features.1"].shape == (16, 16, 4, 4))
    check(item["labels"].tolist() == item["partner_labels"].tolist() == [-100] * 16)
    check(cross_entropy(torch.randn(16, 7), item["labels"], reduction="none").tolist() == [0] * 16)


def test_empty_tails():
    """If the others have no mass, 0 log 0 is 0, in the loss and its gradient."""
    values, indices = torch.tensor([[2.0, 1.0], [3.0, 0.0]]), torch.tensor([[0, 2], [1, 3]])
    target = {"values": values, "indices": indices, "tails": {1.0: torch.tensor([-torch.inf, 0.5])}}
    scores = torch.randn(2, 5, requires_grad=True)
    loss = topk_kl_divergence(scores, target, 1.0)
    loss.backward()
    p = values[0].softmax(0)
    q = torch.cat([scores[0, indices[0]], scores[0, [1, 3, 4]].logsumexp(0, keepdim=True)]).log_softmax(0)
    first = (p * (p.log() - q[:2])).sum()
    almost = topk_kl_divergence(scores, {**target, "tails": {1.0: torch.tensor([-80.0, 0.5])}}, 1.0)
    second = topk_kl_divergence(scores[1:], {"values": values[1:], "indices": indices[1:], "tails": {1.0: torch.tensor([0.5])}}, 1.0)
    check(torch.isfinite(scores.grad).all() and abs(loss - almost) < 1e-6 and abs(2 * loss - first - second) < 1e-5, loss)


def test_kinds_of_images(folder):
    """A missing image is an input error, an unreadable one an I/O error."""
    cache, empty = Cache(folder / "cache"), folder / "empty"
    empty.mkdir()
    views = Views(empty, cache)
    for make, kind in ((lambda path: None, InputError), (lambda path: path.mkdir(), InputError)):
        path = empty / cache.index.id(0)
        path.parent.mkdir(exist_ok=True)
        make(path)
        try:
            views.picture(0)
        except kind as error:
            check(str(error).startswith(f"{path}: cannot be read (") and not isinstance(error, IoError), error)
        else:
            raise AssertionError("read")


def main():
    from python_views_test import extract  # here, since workers that start afresh import this file, and timm takes long
    torch.set_num_threads(1)
    torch.manual_seed(3)
    test_empty_tails()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        extract(folder)
        words = ["taps.logits_encoding=topk", "taps.topk=2", "taps.topk_temperatures=[2.0, 4.0]", f"cache={folder}/few",
                 "plan.seed=8", "passes=1"]
        run = subprocess.run([BIN / "vitrine-extract", folder / "extract.toml",
                              *(part for word_ in words for part in ("--set", word_))], capture_output=True, text=True)
        check(run.returncode == 0, run.stderr)
        for test in (test_workers, test_samplers, test_batches, test_refusals, test_two_teachers, test_other_pixels,
                     test_what_pillow_refuses, test_opened_once, test_features_alone, test_kinds_of_images):
            test(folder)
    print("loaders, batches and refusals: alike")


if __name__ == "__main__":
    sys.exit(main())

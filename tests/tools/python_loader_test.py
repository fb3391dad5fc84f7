"""tools/python/vitrine_cache's data set with torch's DataLoader in all ways that training scripts use it, and what it refuses."""
import functools
import gc
import json
import math
import pathlib
import pickle
import shutil
import subprocess
import sys
import tempfile
import unittest.mock
import warnings

import numpy as np
import torch
from PIL import Image
from reader_support import BIN, check, compressed, equal_bits, patched, raises, replace_chunk, word, write_track
from torch.nn.functional import cross_entropy, kl_div, log_softmax
from torch.utils.data import ConcatDataset, DataLoader
from vitrine_cache import Batch, Cache, InputError, IoError, TopK, VitrineDataset, Views, loader, losses
from vitrine_cache import container
from vitrine_cache.batch import concatenate
from vitrine_cache.epochs import epoch_order


def same(a, b):
    """Whether batches, or parts of them, are bit-equal."""
    if isinstance(a, (Batch, TopK)):
        return same(vars(a), vars(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a.dtype == b.dtype and torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def maker(folder, name="cache"):
    return functools.partial(VitrineDataset, folder / name, folder / "images")


def test_batch(folder):
    """A batch is the views, labels and targets of its groups; images are normalised as in C++."""
    cache, names = Cache(folder / "cache"), ["logits", "features.1", "attention.1"]
    data = VitrineDataset(cache, folder / "images", names, passes=[2], shuffle=False)
    check(len(data) == 2)
    for group, batch in enumerate(data):
        recipes = cache.recipes(2, group)
        check(batch.labels.tolist() == recipes["label"].tolist())
        check(batch.mixed_labels.tolist() == recipes["label"][recipes["partner"]].tolist())
        check(batch.lam.dtype == torch.float32 and ((batch.lam == 1).numpy() == (recipes["mix"] == 0)).all())
        check(list(batch.targets) == names)
        for name, values in batch.targets.items():
            check(equal_bits(values.numpy(), cache.track(name).read(2, group)))
        pixels = Views(folder / "images", cache).read(2, group)
        check(batch.images.dtype == torch.uint8 and (batch.images.numpy() == pixels.transpose(0, 3, 1, 2)).all())
        colours = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
        wanted = ((pixels.astype(np.float32) / np.float32(255) - np.float32(colours[0])) / np.float32(colours[1]))
        devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
        moved = [(batch.pin_memory() if device == "cuda" else batch).to(device, channels_last=True) for device in devices]
        for each in (batch, *moved):
            normal = each.normalised(*colours)
            check(normal.device == each.images.device == each.targets["logits"].device)
            check(np.abs(normal.cpu().numpy() - wanted.transpose(0, 3, 1, 2)).max() < 1e-5)
            check(each is batch or each.images.is_contiguous(memory_format=torch.channels_last))
            check(same(each.to("cpu"), batch))
        check(normal.is_contiguous(memory_format=torch.channels_last) and each.normalised(dtype=torch.bfloat16).dtype == torch.bfloat16)
    small = VitrineDataset(cache, folder / "images", [], size=20)[1]
    check(small.images.shape == (8, 3, 20, 20) and small.targets == {})
    two = VitrineDataset(cache, folder / "images", names, passes=[2], shuffle=False, batch_size=16)
    check(len(two) == 1 and same(two[0], concatenate(list(data))) and len(two[0]) == 16)


def test_coefficients(folder):
    """Coefficients become features on the device: what read() gives, up to rounding."""
    cache = Cache(folder / "cache")
    track = cache.track("features.1")
    data = VitrineDataset(cache, folder / "images", ["features.1"], coefficients=True, passes=[2], shuffle=False)
    values = data[1].targets["features.1"]
    check(equal_bits(values.numpy(), track.read_coefficients(2, 1)))
    wanted = track.read(2, 1)
    check(np.abs(values.numpy() - wanted).max() > 0.1)
    for _ in range(2):
        features = track.to_features(values)
        check(features.dtype == torch.float32 and np.abs(features.numpy() - wanted).max() < 1e-5 * np.abs(wanted).max())
    with torch.autocast("cpu", torch.bfloat16):
        check(torch.equal(track.to_features(values), features))
    check(np.array_equal(pickle.loads(pickle.dumps(track)).to_features(values).numpy(), features.numpy()))
    raises("do not fit", track.to_features, values[:, :3])
    raises("only transform has coefficients", cache.track("logits").to_features, values)


def test_epochs(folder):
    """Each epoch takes one pass; every pass comes once in each round, every group once in each epoch; ranks share them."""
    data = maker(folder)(seed=5)
    check(data.passes == list(range(8)))
    rounds = [[data.groups(epoch)[0] for epoch in range(begin, begin + 8)] for begin in (0, 8)]
    check(all(sorted(passes) == list(range(8)) for passes in rounds) and rounds[0] != rounds[1])
    check(all(sorted(data.groups(epoch)[1]) == [0, 1] for epoch in range(16)))
    check(len({tuple(data.groups(epoch)[1]) for epoch in range(16)}) == 2)
    check(maker(folder)(shuffle=False, passes=[5, 3]).groups(3) == (5, [0, 1]))
    cache = data.cache
    for epoch in (0, 3):
        data.set_epoch(epoch)
        pass_, groups = data.groups()
        for i, group in enumerate(groups):
            check(equal_bits(data[i].targets["logits"].numpy(), cache.track("logits").read(pass_, group)))
    parts = [maker(folder)(seed=5, rank=rank, world_size=2) for rank in range(2)]
    check([len(part) for part in parts] == [1, 1])
    for epoch in range(4):
        shares = [part.groups(epoch) for part in parts]
        check([share[0] for share in shares] == [data.groups(epoch)[0]] * 2)
        check([group for share in shares for group in share[1]] == data.groups(epoch)[1])
    with unittest.mock.patch.multiple(torch.distributed, is_initialized=lambda: True, get_rank=lambda: 1, get_world_size=lambda: 2):
        mine = maker(folder)(seed=5)
    check((mine.rank, mine.world_size) == (1, 2) and mine.groups(3) == parts[1].groups(3))
    shares = [epoch_order(5, 9, 10, [0, 1], rank, 4)[1] for rank in range(4)]  # 12 places for 10 groups
    check([len(share) for share in shares] == [3] * 4 and len({group for share in shares for group in share}) == 10)


def test_workers(folder):
    """Workers of either kind, also persistent ones, give the same data as this process, of the epoch that was set."""
    make = functools.partial(maker(folder), ["logits", "features.1"])
    data = make()
    wanted = []
    for epoch in range(3):
        data.set_epoch(epoch)
        wanted.append(list(data))
    check(not same(wanted[0][0], wanted[1][0]))
    for start, persistent in (("fork", False), ("fork", True), ("spawn", True)):
        data = make()
        ours = loader(data, 2, multiprocessing_context=start, persistent_workers=persistent)
        for epoch in (0, 2, 1):
            ours.set_epoch(epoch)
            batches = list(ours)
            check(len(batches) == len(ours) == 2 and all(map(same, batches, wanted[epoch])), (start, persistent, epoch))
        check(ours.epoch == 2)
    plain = DataLoader(data, batch_size=None, num_workers=1, persistent_workers=True)
    for epoch in (1, 0):
        data.set_epoch(epoch)
        check(all(map(same, plain, wanted[epoch])))
    ours = loader(data)
    check([same(batch, wanted[epoch][i]) for epoch in range(3) for i, batch in enumerate(ours)] == [True] * 6)  # the next by itself


def test_resuming(folder):
    """A loader's state, taken anywhere, gives the batches that were left, with any number of workers."""
    make = functools.partial(maker(folder), seed=3)
    for workers in (0, 2):
        ours, whole = loader(make(), workers, persistent_workers=False), []
        states = [ours.state_dict()]
        for _ in range(3):
            for batch in ours:
                whole.append(batch)
                states.append(json.loads(json.dumps(ours.state_dict())))
        check(len(whole) == 6)
        for taken, state in enumerate(states):
            again, rest = loader(make(), 2 - workers, persistent_workers=False), []
            again.load_state_dict(state)
            for epoch in range(again.epoch, 3):
                again.set_epoch(epoch)
                rest += again
            check(len(rest) == 6 - taken and all(map(same, rest, whole[taken:])), (workers, taken))
    ours = loader(make())
    for _ in ours:
        break
    check(ours.state_dict()["batch"] == 1 and ours.epoch == 0)
    check(len(list(ours)) == 2 and ours.epoch == 1)  # an iteration that was broken off is begun again
    for other, words in ((make(passes=[0, 1]), "passes = [0, 1, 2, 3, 4, 5, 6, 7], this data set has [0, 1]"),
                         (maker(folder)(seed=4), "seed = 3, this data set has 4"),
                         (make(batch_size=16), "batch_size = 8, this data set has 16")):
        raises("the state was saved with " + words, loader(other).load_state_dict, states[1])
    raises("this is not a loader's state", ours.load_state_dict, {"epoch": 3})


def test_samplers(folder):
    """Batches may be indexed by tensors and numpy integers; torch's loader may join them, and never stacks them."""
    data = maker(folder)(["logits", "features.1"])
    wanted = list(data)
    for one in (torch.tensor(1), np.int64(1), np.uint8(1), np.array(1)):
        check(same(data[one], wanted[1]))
    for strange in (2, -1, torch.tensor(2)):
        try:
            data[strange]
        except IndexError:
            continue
        raise AssertionError(f"batch {strange} was read")
    for workers in (0, 2):
        check(all(map(same, DataLoader(data, num_workers=workers), wanted)), "one a batch")
        joined, = DataLoader(data, batch_size=4, num_workers=workers)
        check(joined.images.shape == (16, 3, 32, 32) and same(joined, concatenate(wanted)))
    joined, = DataLoader(ConcatDataset([data, data]), batch_size=4)
    check(same(joined, concatenate(wanted + wanted)))
    part = maker(folder)(batch_size=16, drop_last=False, rank=0, world_size=2)
    check(len(part) == 1 and part[0].images.shape[0] == 8)


def brighter(view):
    return torch.clamp(view.int() + int(torch.randint(0, 100, ())), max=255).to(torch.uint8)


def test_transform(folder):
    """A transform sees each view alone; its random numbers depend on seed and epoch, not on workers or torch's own."""
    data, plain = maker(folder)(transform=brighter), maker(folder)()
    torch.manual_seed(1)
    first = list(data)
    after = torch.rand(3)
    torch.manual_seed(1)
    check(torch.equal(torch.rand(3), after))
    torch.manual_seed(2)
    check(all(map(same, first, loader(data, 2))))
    added = {int((a.int() - b.int()).amax()) for batch, bare in zip(first, plain) for a, b in zip(batch.images, bare.images)}
    check(len(added) > 8, added)
    other = maker(folder)(transform=brighter, seed=1)
    other.seed = 0
    check(same(list(other)[0], first[0]))
    floats = maker(folder)(transform=lambda view: view[:, :20, :20] / 255)[0]
    check(floats.images.dtype == torch.float32 and floats.images.shape == (8, 3, 20, 20))
    raises("are not normalised; expected uint8", floats.normalised)
    raises("not tensors of one shape", maker(folder)(transform=lambda view: view.numpy()).__getitem__, 0)


def test_topk(folder):
    """A topk track as stored, for a loss at any of its temperatures, also out of workers; dense on request."""
    cache = Cache(folder / "few")
    data = VitrineDataset(cache, folder / "images", ["logits", "features.1"], topk=True, shuffle=False)
    whole = VitrineDataset(cache, folder / "images", ["logits"], shuffle=False)
    scores = torch.randn(8, 3, dtype=torch.float64)
    for group, batch in enumerate(loader(data, 1, multiprocessing_context="spawn")):
        values, indices, tails = cache.track("logits").read_kept(0, group)
        target = batch.targets["logits"]
        check(equal_bits(target.values.numpy(), values) and target.indices.tolist() == indices.tolist())
        check(list(target.tails) == [2, 4] and target.classes == 3 and batch.targets["features.1"].shape == (8, 16, 4, 4))
        for i, t in enumerate((2.0, 4.0)):
            check(equal_bits(target.tails[t].numpy(), np.ascontiguousarray(tails[:, i])))
        logits = whole[group].targets["logits"]
        check(torch.equal(target.dense(), logits))
        check((target.dense(4.0) - logits).abs().max() < 1e-5)  # of three classes two are kept: the third is known
        for t in (2.0, 4.0):
            wanted = kl_div(log_softmax(scores / t, 1), log_softmax(logits.double() / t, 1), reduction="batchmean", log_target=True)
            check(abs(losses.kd(scores, target, t) / t**2 - wanted) < 1e-5)
    raises("the temperature 1 has no tail; expected one of the track's: 2.0, 4.0", losses.kd, scores, target, 1)
    raises("do not fit a teacher of 3 classes", losses.kd, scores[:, :2], target, 2.0)
    joined = concatenate([batch, batch])
    check(joined.targets["logits"].values.shape == (16, 2) and joined.targets["logits"].classes == 3)
    both = torch.cat([scores, scores])
    check(abs(losses.kd(both, joined.targets["logits"], 2.0) - losses.kd(scores, target, 2.0)) < 1e-6)


def test_empty_tails():
    """If the others have no mass, 0 log 0 is 0, in the loss and its gradient."""
    values, indices = torch.tensor([[2.0, 1.0], [3.0, 0.0]]), torch.tensor([[0, 2], [1, 3]])

    def target(*tails, rows=slice(None)):
        return TopK(values[rows], indices[rows], {1.0: torch.tensor(tails)}, 5)

    scores = torch.randn(2, 5, requires_grad=True)
    loss = losses.kd(scores, target(-math.inf, 0.5), 1.0)
    loss.backward()
    p = values[0].softmax(0)
    q = torch.cat([scores[0, indices[0]], scores[0, [1, 3, 4]].logsumexp(0, keepdim=True)]).log_softmax(0)
    first = (p * (p.log() - q[:2])).sum()
    almost, second = losses.kd(scores, target(-80.0, 0.5), 1.0), losses.kd(scores[1:], target(0.5, rows=slice(1, 2)), 1.0)
    check(torch.isfinite(scores.grad).all() and abs(loss - almost) < 1e-6 and abs(2 * loss - first - second) < 1e-5, loss)


def test_losses():
    """Losses are computed in float32 under autocast, and refuse what does not fit."""
    scores, logits = torch.randn(4, 3), torch.randn(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        low = losses.kd(scores.bfloat16(), logits)
    check(low.dtype == torch.float32 and torch.equal(low, losses.kd(scores.bfloat16().float(), logits)))
    raises("a student with the teacher's classes", losses.kd, scores[:, :2], logits)
    raises("temperature = 0 is not allowed", losses.kd, scores, logits, 0)
    raises("mapped to the teacher's channels and grid", losses.feature_mse, torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 2, 2))


def test_refusals(folder):
    """Invalid arguments are refused when the data set is made, in one sentence with what was expected."""
    cache, other = Cache(folder / "cache"), Cache(folder / "few")
    make = functools.partial(VitrineDataset, cache, folder / "images")
    raises("nowhere: is not a directory; expected the folder that the cache's index was made from", VitrineDataset,
           cache, folder / "nowhere", [])
    raises("is not a directory; expected the folder of the cache's images without labels",
           functools.partial(make, unlabelled=folder / "nowhere"), [])
    for size in (-3, 0, 65536, 2.5, "32", True, (32, 32)):
        raises(f"size = {size!r} is not allowed; expected an integer from 1 to 65535", functools.partial(make, size=size), [])
    for views in (12, 7, 20):
        raises(f"batch_size = {views} is not allowed; expected a multiple of 8, this cache's group", functools.partial(make, batch_size=views))
    for views in (0, -8, 8.0, "8", True):
        raises(f"batch_size = {views!r} is not allowed; expected an integer from 1", functools.partial(make, batch_size=views))
    raises("batch_size = 24 is larger than the 16 views", functools.partial(make, batch_size=24))
    for tracks in ("logits", None, 3, cache.track("logits")):
        raises('expected a list of names or Tracks, such as ["logits"]', make, tracks)
    raises("has no track of the name logit; it has small.", make, ["logit"])
    raises("a track's name 3 is not allowed", make, [3])
    for passes in ([8], [-1, 0]):
        raises(f"pass {passes[0]} of recipes is not complete", functools.partial(make, passes=passes))
    for passes in ("some", 3, [], None):
        raises('expected "all" or a list of passes, such as [0, 1]', functools.partial(make, passes=passes))
    raises("passes = 0.5 is not allowed", functools.partial(make, passes=[0.5]))
    raises("transform = 3 is not allowed; expected a function", functools.partial(make, transform=3))
    raises("seed = -1 is not allowed", functools.partial(make, seed=-1))
    raises("rank = 2 is not allowed; expected an integer from 0 to 1", functools.partial(make, rank=2, world_size=2))
    raises("give both or neither", functools.partial(make, rank=0))
    data = make(["small/logits"], size=np.int64(20), batch_size=np.int32(8))
    check(data[0].images.shape == (8, 3, 20, 20) and list(data[0].targets) == ["logits"])
    for epoch in (-1, 0.5, None, 2**32):
        raises(f"epoch = {epoch!r} is not allowed", data.set_epoch, epoch)
    for options in ({"batch_size": 4}, {"shuffle": True}, {"collate_fn": len}):
        raises("is not an option of loader()", functools.partial(loader, data, **options))
    raises("in_order = False is not allowed; batches come in their order", functools.partial(loader, data, in_order=False))
    for colours, words in ((((.5, .5), (1, 1, 1)), "mean = (0.5, 0.5) is not allowed; expected three numbers"),
                           (((123.7, 116.3, 103.5), (1, 1, 1)), "of colours in 0..1"), (("imagenet", (1, 1, 1)), "mean = 'imagenet'"),
                           (((.5, .5, .5), (.5, 0, .5)), "expected three numbers above 0"),
                           (((.5, .5, float("nan")), (.5, .5, .5)), "three numbers")):
        raises(words, data[0].normalised, *colours)
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
    data = VitrineDataset(cache, folder / "images", [cache.track("logits", "small"), "small/features.1"])
    check(list(data[0].targets) == ["logits", "features.1"])
    data = VitrineDataset(cache, folder / "images", ["small/logits", "large/logits"])
    check(sorted(data.tracks) == sorted(f"{t}.{place.parent.name.split('.')[1]}/logits" for t in ("small", "large")))
    small, large = data[1].targets.values()
    check(torch.equal(small, large))
    for path in other.glob("*.h5"):
        path.unlink()
    raises("no pass is complete in recipes ([0, 1, 2, 3, 4, 5, 6, 7])", VitrineDataset, both, folder / "images", ["large/logits"])


def test_other_pixels(folder):
    """Pictures that another decoder made are refused, or on request allowed, reported once and counted."""
    other = folder / "other pixels"
    shutil.copytree(folder / "cache", other)
    replace_chunk(other / "recipes/00000.h5", "picture_hash", compressed(word(1, 8)))  # of pass 0, group 0
    make = functools.partial(VitrineDataset, Cache(other), folder / "images", [], passes=[0], shuffle=False)
    data = make()
    raises("has other pixels than the teacher saw", data.__getitem__, 0)
    raises("has other pixels than the teacher saw", next, iter(loader(data, 1)))  # out of a worker it comes as the same error
    gc.collect()  # the loader, in a cycle with its error: a forked worker would complain of it
    check(data[1].images.shape == (8, 3, 32, 32) and data.other_pictures == 0)
    wanted = VitrineDataset(folder / "cache", folder / "images", [], passes=[0], shuffle=False)[0]
    for workers in (0, 2):
        data = make(allow_pictures=True)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            batches = [list(loader(data, workers)) for _ in range(2)][-1]
        check(same(batches[0], wanted) and data.other_pictures == 1, data.other_pictures)
        if workers == 0:
            check(len(told) == 1 and "other pixels than the teacher saw, first in pass 0, group 0" in str(told[0].message), told)


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
    """A group opens the file of its recipes once, and each track's shard once, after the first has read their tables."""
    data = VitrineDataset(folder / "cache", folder / "images", ["logits", "features.1"], passes=[0])
    list(data)
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
    """A cache of feature maps without labels or logits can be trained on: losses of absent labels are zero."""
    words = [folder / "extract.toml", "--set", "labels=none", "--set", "taps.logits=false", "--set", "check_images=0", "--set",
             f"cache={folder}/maps", "--set", "passes=1", "--set", "taps.attention=[]"]
    run = subprocess.run([BIN / "vitrine-extract", *words], capture_output=True, text=True)
    check(run.returncode == 0, run.stderr)
    cache = Cache(folder / "maps")
    check(cache.classes == [] and (cache.labels == -1).all() and [t.name for t in cache.tracks] == ["features.1"])
    batch, = loader(VitrineDataset(cache, folder / "images", ["features.1"], batch_size=16))
    check(batch.targets["features.1"].shape == (16, 16, 4, 4))
    check(batch.labels.tolist() == batch.mixed_labels.tolist() == [-100] * 16)
    scores = torch.randn(16, 7)
    check(cross_entropy(scores, batch.labels, reduction="none").tolist() == [0] * 16)
    check(losses.mixed_cross_entropy(scores, batch) == 0)


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
    test_losses()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        extract(folder)
        words = ["taps.logits_encoding=topk", "taps.topk=2", "taps.topk_temperatures=[2.0, 4.0]", f"cache={folder}/few",
                 "plan.seed=8", "passes=1"]
        run = subprocess.run([BIN / "vitrine-extract", folder / "extract.toml",
                              *(part for word_ in words for part in ("--set", word_))], capture_output=True, text=True)
        check(run.returncode == 0, run.stderr)
        for test in (test_batch, test_coefficients, test_epochs, test_workers, test_resuming, test_samplers, test_transform,
                     test_topk, test_refusals, test_two_teachers, test_other_pixels, test_what_pillow_refuses, test_opened_once,
                     test_features_alone, test_kinds_of_images):
            test(folder)
    print("loaders, batches and refusals: alike")


if __name__ == "__main__":
    sys.exit(main())

"""Feature maps alone of whole pictures, for dense students: a letterboxed cache without labels and logits, its geometry,
what of it needs labels and is refused, and the ten lines of tools/python/README.md that train a backbone from it."""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image
from python_docs_test import blocks
from python_views_test import extract
from reader_support import BIN, check, raises
from vitrine_cache import Cache, Views, VitrineDataset, place_boxes
from vitrine_cache.plan import check_plan_settings

SIZE = 64
DENSE = ["labels=none", "taps.logits=false", "taps.attention=[]", "taps.features=[0,1]", "taps.max_error=0.05",
         "teacher.image_size=64", "plan.image_size=64", "plan.resize=letterbox", "plan.mix_probability=0", "passes=2"]


def settings(*words):
    return [word for setting in words for word in ("--set", setting)]


def run(program, *words):
    return subprocess.run([BIN / program, *words], capture_output=True, text=True)


def test_cache(folder):
    """Two tracks of features within the bound, at the size asked for, from pictures without labels."""
    made = run("vitrine-extract", folder / "extract.toml", *settings(*DENSE, f"cache={folder}/dense"))
    check(made.returncode == 0, made.stderr)
    cache = Cache(folder / "dense")
    check(not cache.problems and cache.classes == [] and cache.plan.letterbox)
    check([track.name for track in cache.tracks] == ["features.0", "features.1"])
    for track in cache.tracks:
        check(track.shape == (16, 8, 8) and track.encoding == "transform" and track.codec["max_error"] == 0.05)
    for error in ("0.01", "0.1"):
        other = run("vitrine-extract", folder / "extract.toml",
                    *settings(*DENSE, f"cache={folder}/at{error}", f"taps.max_error={error}"))
        check(other.returncode == 0, other.stderr)
    sizes = [sum(path.stat().st_size for path in (folder / name).glob("small.*/features.*/0*.h5"))
             for name in ("at0.01", "dense", "at0.1")]
    check(sizes[0] > sizes[1] > sizes[2], sizes)


def test_pictures(folder):
    """The teacher's pixels, and Pillow's thumbnails in their boxes at another size."""
    cache = Cache(folder / "dense")
    for size in (SIZE, 45):
        views, flips = Views(folder / "images", cache, size), set()
        for pass_ in (0, 1):
            for group in range(cache.plan.groups_per_pass):
                recipes, made = cache.recipes(pass_, group), views.read(pass_, group)  # compares a hash itself
                for recipe, view in zip(recipes, made):
                    height, width = int(recipe["height"]), int(recipe["width"])
                    sides = [max(1, (2 * side * SIZE + max(height, width)) // (2 * max(height, width))) for side in (height, width)]
                    edges = [((SIZE - side) // 2, (SIZE - side) // 2 + side) for side in sides]
                    (top, bottom), (left, right) = ([(2 * e * size + SIZE) // (2 * SIZE) for e in pair] for pair in edges)
                    picture = views.picture(int(recipe["image"]))
                    check(picture.size == (width, height))
                    small = picture.resize((right - left, height), Image.Resampling.BICUBIC)
                    small = np.asarray(small.resize((right - left, bottom - top), Image.Resampling.BICUBIC))
                    expected = np.full((size, size, 3), (124, 116, 104), np.uint8)
                    expected[top:bottom, left:right] = small[:, ::-1] if recipe["flip"] else small
                    check((view == expected).all(), pass_, group)
                    flips.add(int(recipe["flip"]))
        check(flips == {0, 1})


def test_geometry(folder):
    """A mark in a picture is found in the view where the geometry says, for crops too."""
    (folder / "marked").mkdir()
    random_numbers = np.random.default_rng(4)
    marks = {}
    for i, (height, width) in enumerate([(200, 320), (320, 200), (150, 150), (90, 400)] * 4):
        y, x = int(random_numbers.integers(0, height - 40)), int(random_numbers.integers(0, width - 40))
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[y:y + 40, x:x + 40] = 255
        Image.fromarray(pixels).save(folder / f"marked/{i:02d}.png")
        marks[f"{i:02d}.png"] = (x, y, x + 40, y + 40)
    crops = ["plan.resize=crop", "plan.min_area=0.9", "plan.min_ratio=0.2", "plan.max_ratio=5"]
    found = 0
    for name, more in (("letterboxed", []), ("cropped", crops)):
        made = run("vitrine-extract", folder / "extract.toml",
                   *settings(*DENSE, f"images={folder}/marked", f"cache={folder}/{name}", *more))
        check(made.returncode == 0, made.stderr)
        cache = Cache(folder / name)
        for size in (SIZE, 160):
            data = VitrineDataset(cache, folder / "marked", ["features.1"], size=size)
            for batch in data:
                check(batch.image.dtype == torch.int64 and batch.geometry.shape == (len(batch), 4))
                for view, image, geometry in zip(batch.images, batch.image, batch.geometry):
                    box = place_boxes(torch.tensor([marks[cache.ids[image]]], dtype=torch.float32), geometry)[0].clamp(0, size)
                    bright = (view.float().mean(0) > 180).nonzero()
                    if len(bright) == 0:
                        continue  # cropped away
                    seen = [bright[:, 1].min(), bright[:, 0].min(), bright[:, 1].max() + 1, bright[:, 0].max() + 1]
                    check((torch.stack(seen) - box).abs().max() <= 1, name, size, seen, box)
                    found += 1
    check(found > 60, found)


def test_refusals(folder):
    """What needs labels says so in one sentence; mixing is refused."""
    dense = [folder / "extract.toml", *settings(*DENSE, f"cache={folder}/no")]
    mixed = run("vitrine-extract", *dense, "--set", "plan.mix_probability=0.5")
    check(mixed.returncode == 2 and "set mix_probability = 0" in mixed.stderr, mixed.stderr)
    refused = run("vitrine-extract", *dense, "--evaluate")
    check(refused.returncode == 2 and "teachers are evaluated on labelled images" in refused.stderr, refused.stderr)
    check(not (folder / "no").exists())
    plain = {"seed": 1, "group": 8, "shard_groups": 1, "image_size": 32, "min_area": 0.08, "max_area": 1.0, "min_ratio": 0.75,
             "max_ratio": 1.5, "flip": 0.5, "mix_probability": 0.0, "switch_probability": 0.5, "mixup_alpha": 0.8,
             "cutmix_alpha": 1.0}
    check_plan_settings({**plain, "resize": "letterbox"})
    for wrong in ({"resize": "stretch"}, {"resize": "letterbox", "mix_probability": 0.5}, {"resize": 1}):
        try:
            check_plan_settings({**plain, **wrong})
        except ValueError:
            continue
        raise AssertionError(wrong)
    cache = Cache(folder / "dense")
    recipes = cache.recipes(0, 0).copy()
    recipes["box_right"][0] = 65
    raises("a recipe does not fit its image", cache._check, recipes, "here")
    recipes = cache.recipes(0, 0).copy()
    recipes["box_bottom"] = recipes["box_top"]
    raises("a recipe does not fit its image", cache._check, recipes, "here")


def test_training(folder):
    """vitrine-train has no classes to train or to validate on, and says what to do; README's lines train a backbone."""
    config = folder / "train.toml"
    config.write_text(f"""
images = '{folder}/images'
output = '{folder}/run'
labels = 'none'
batch = 8
micro_batch = 8
[model]
arch = 'resnet18'
[targets]
source = 'cache'
cache = '{folder}/dense'
features = 'features.1'
""")
    told = run("vitrine-train", config)
    check(told.returncode == 2 and "no classes" in told.stderr and "README.md" in told.stderr, told.stderr)
    lines = next(block for block in blocks("tools/python/README.md") if '"dense"' in block)
    names = {"torch": torch}
    here = os.getcwd()
    os.chdir(folder)
    try:
        exec("import torchvision\nfrom vitrine_cache import VitrineDataset, loader, losses, place_boxes\n" + lines, names)
    finally:
        os.chdir(here)
    check(torch.isfinite(names["loss"]) and names["target"].shape[1:] == (16, 8, 8))
    check(names["boxes"].shape == (1, 4))


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        extract(folder)
        for test in (test_cache, test_pictures, test_geometry, test_refusals, test_training):
            test(folder)
    print("dense: alike")


if __name__ == "__main__":
    sys.exit(main())

"""Compares the pictures of tools/python/vitrine_cache with a cache that vitrine-extract made."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import timm
import torch
from PIL import Image
from reader_support import BIN, compressed, raises, replace_chunk, word
from safetensors.torch import save_file
import vitrine_cache
from vitrine_cache import Cache, VitrineDataset, Views, hashed_view, left_out
from vitrine_cache import views
from xxhash import xxh3_64_intdigest as xxh3


def draw_images(folder):
    """15 pictures of three classes: photographic JPEGs, and PNGs in colour, grey and with a palette."""
    random_numbers = np.random.default_rng(1)
    for label, name in enumerate(["ant", "bee", "cat"]):
        (folder / name).mkdir(parents=True)
        for i in range(5):
            height, width = 34 + 7 * i, 61 - 5 * i
            y, x = np.mgrid[:height, :width]
            slopes = random_numbers.uniform(2, 20, (3, 2))
            waves = [128 + 90 * np.sin(x / across + y / down) for across, down in slopes]
            noise = random_numbers.normal(0, 12, (height, width, 3))
            image = Image.fromarray(np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8))
            if i == 3:
                image = image.quantize(64) if label else image.convert("L")
            image.save(folder / name / (f"{i}.png" if i > 1 else f"{i}.jpg"), **({} if i > 1 else {"quality": 90}))


def extract(folder):
    """A cache of eight passes of these pictures from a random teacher."""
    draw_images(folder / "images")
    torch.manual_seed(5)
    vit = timm.models.VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3)
    save_file(vit.state_dict(), folder / "teacher.safetensors")
    (folder / "extract.toml").write_text(f"""
images = '{folder}/images'
cache = '{folder}/cache'
passes = 8
workers = 1
check_images = 15
allow_chance = true
[teacher]
name = 'small'
weights = '{folder}/teacher.safetensors'
micro_batch = 4
heads = 2
[taps]
features = [1]
attention = [1]
[plan]
seed = 7
group = 8
shard_groups = 1
image_size = 32
mix_probability = 0.8
""")
    run = subprocess.run([BIN / "vitrine-extract", folder / "extract.toml"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_pixels(folder):
    """Each group's stored hash equals that of our mixed picture; each unmixed view equals make_view's, also at other sizes."""
    cache = Cache(folder / "cache")
    teacher, other = Views(folder / "images", cache), Views(folder / "images", cache, 45)
    kinds = set()
    for pass_ in cache.recipe_passes:
        for group in range(cache.plan.groups_per_pass):
            pictures = teacher.read(pass_, group)  # compares one view's hash itself
            assert pictures.shape == (8, 32, 32, 3) and pictures.dtype == np.uint8
            hashed = cache.recipes(pass_, group)[group % 8]
            kinds.add((int(hashed["mix"]), int(hashed["flip"])))
    assert len(kinds) >= 5, kinds
    for views_, size in [(teacher, 32), (other, 45)]:
        recipes, pictures = cache.recipes(3, 1), views_.read(3, 1)
        for place in np.flatnonzero(recipes["mix"] == 0):
            r = recipes[place]
            box = [r[key] for key in ("top", "left", "height", "width")]
            words = [folder / "images" / cache.index.id(r["image"]), *box, size, size, r["flip"]]
            theirs = subprocess.run([BIN / "make_view", "crop", *map(str, words)],
                                    stdout=subprocess.PIPE, check=True).stdout
            assert pictures[place].tobytes() == theirs, (size, place)
    cuts = np.concatenate([cache.recipes(p, g) for p in range(8) for g in range(2)])
    assert {0, 1, 2} == set(cuts["mix"].tolist())


def test_page(folder):
    """FORMAT.md's own code makes the pictures, from the files of the index to the stored hash."""
    page = (pathlib.Path(__file__).resolve().parents[2] / "common/cache/FORMAT.md").read_text().split("```python\n")
    names = {"np": np}
    exec(next(block for block in page if block.startswith("def cubic")).split("```")[0], names)
    cache, kinds = Cache(folder / "cache"), set()
    for group in range(cache.plan.groups_per_pass):
        recipes = cache.recipes(0, group)
        images = [np.asarray(Image.open(folder / "images" / cache.index.id(r["image"])).convert("RGB")) for r in recipes]
        for size in (32, 45):
            plain = [names["plain"](image, r, size) for image, r in zip(images, recipes)]
            for i, (r, made) in enumerate(zip(recipes, Views(folder / "images", cache, size).read(0, group))):
                own, other = plain[i].astype(int), plain[r["partner"]].astype(int)
                share = int(r["lambda"])
                if r["mix"] == 1:
                    own = (own * share + other * (65536 - share) + 32768) >> 16
                elif r["mix"] == 2:
                    top, left, bottom, right = ((2 * int(r["box_" + edge]) * size + 32) // (2 * 32)
                                                for edge in ("top", "left", "bottom", "right"))
                    own[top:bottom, left:right] = other[top:bottom, left:right]
                assert (own == made).all(), (group, size, i)
                kinds.add((int(r["mix"]), int(r["flip"])))
                if size == 32 and i == group % 8:
                    assert xxh3(own.astype(np.uint8).tobytes()) == cache.picture_hash(0, group)
    assert len(kinds) == 6, kinds


def test_mixing():
    """The arithmetic of common/image/views.h, derived with integers."""
    own, other = np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8)[::-1]
    for share in (0, 1, 1000, 32768, 65535):
        wanted = [(int(a) * share + int(b) * (65536 - share) + 32768) // 65536 for a, b in zip(own, other)]
        assert views.mix_bytes(own, other, np.uint16(share)).tolist() == wanted
    assert [views.scale_edge(e, 32, 45) for e in (0, 1, 5, 16, 32)] == [0, 1, 7, 23, 45]  # 1.41, 7.03, 22.5 (up), 45


def test_wrong_pictures(folder):
    cache = Cache(folder / "cache")
    shutil.copytree(folder / "images", folder / "changed")
    image = int(cache.recipes(0, 0)["image"][0])
    path = folder / "changed" / cache.index.id(image)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    raises("is not the file that the index was made from", Views(folder / "changed", cache).read, 0, 0)
    path.unlink()
    raises("cannot be read", Views(folder / "changed", cache).read, 0, 0)
    shutil.copytree(folder / "cache", folder / "other")
    replace_chunk(folder / "other/recipes/00000.h5", "picture_hash", compressed(word(1, 8)))
    raises("has other pixels than the teacher saw", Views(folder / "images", Cache(folder / "other")).read, 0, 0)


def test_without_labels(folder):
    """Additional images without labels are read from their own folder and have the label -100."""
    shutil.copytree(folder / "images/bee", folder / "further/some/where")
    words = [folder / "extract.toml", "--set", f"unlabelled={folder}/further", "--set", f"cache={folder}/both",
             "--set", "passes=1"]
    run = subprocess.run([BIN / "vitrine-extract", *words], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    cache = Cache(folder / "both")
    without = [id.startswith(".unlabelled/some/where/") for id in cache.ids]
    assert sum(without) == 5 and len(without) == 20 and cache.classes == ["ant", "bee", "cat"]
    assert (cache.labels == -1).tolist() == without
    data = VitrineDataset(cache, folder / "images", ["logits"], unlabelled=folder / "further", shuffle=False)
    seen = set()
    for group, batch in enumerate(data):
        recipes = cache.recipes(0, group)
        wanted = [-100 if without[r["image"]] else int(cache.labels[r["image"]]) for r in recipes]
        assert batch.labels.tolist() == wanted
        assert batch.mixed_labels.tolist() == [wanted[r["partner"]] for r in recipes]
        assert batch.targets["logits"].shape == (8, 3)
        seen.update(wanted)
    assert seen == {-100, 0, 1, 2}
    raises("lie in a further folder of images without labels; give that folder too (unlabelled)", Views, folder / "images",
           cache)
    info = subprocess.run([sys.executable, "-m", "vitrine_cache", "info", folder / "both"], capture_output=True,
                          text=True)
    assert "20 images of 3 classes, 5 of them without a label" in info.stdout, info.stderr


def test_left_out(folder):
    """Views whose picture was missing when their targets were made are dropped, or black, without labels, blank, and marked."""
    words = [folder / "extract.toml", "--set", f"cache={folder}/gone", "--set", f"images={folder}/fewer"]
    shutil.copytree(folder / "images", folder / "fewer")
    for passes, more in (("1", []), ("2", ["--set", "bad_images=skip"])):
        run = subprocess.run([BIN / "vitrine-extract", *words, "--set", f"passes={passes}", *more], capture_output=True,
                             text=True)
        assert run.returncode == 0, run.stderr
        (folder / "fewer/bee/2.png").unlink(missing_ok=True)
    cache, whole = Cache(folder / "gone"), Cache(folder / "cache")
    gone, count = cache.ids.index("bee/2.png"), 0
    plain = {"passes": [1], "shuffle": False}
    data = VitrineDataset(cache, folder / "fewer", ["logits", "features.1"], drop_left_out=False, **plain)
    dropping = VitrineDataset(cache, folder / "fewer", ["logits", "features.1"], **plain)
    undisturbed = VitrineDataset(whole, folder / "images", **plain)
    for group in range(len(data)):
        batch, fewer, sound, recipes = data[group], dropping[group], undisturbed[group], cache.recipes(1, group)
        needs = recipes["image"] == gone
        needs |= (recipes["mix"] != 0) & needs[recipes["partner"]]
        assert batch.left_out.tolist() == needs.tolist() == left_out(recipes).tolist()
        count += needs.sum()
        assert not sound.left_out.any()
        for key in ("labels", "mixed_labels", "images"):
            blank, good = (getattr(each, key).numpy() for each in (batch, sound))
            assert (blank[needs] == (0 if key == "images" else -100)).all()
            assert (blank == good)[~needs].all()
        assert (np.abs(batch.targets["logits"].numpy()[needs]) < 0.02).all()  # of the encoding uniform: 0 but for rounding
        assert not cache.track("features.1").read_coefficients(1, group)[needs].any()
        assert len(fewer) == 8 - needs.sum() and not fewer.left_out.any()
        for name in ("images", "labels", "mixed_labels", "lam"):
            assert (getattr(fewer, name) == getattr(batch, name)[~needs]).all()
        for name, values in fewer.targets.items():
            assert (values == batch.targets[name][~needs]).all()
    assert 0 < count < 16
    assert not left_out(cache.recipes(0, 0)).any()
    # The hashed view's place moves when it is the one that is left out.
    recipes = cache.recipes(0, 0).copy()
    recipes["reserved"][[2, 3, 7]] = 1
    assert [hashed_view(recipes, group) for group in (1, 2, 3, 7, 10, 15)] == [1, 4, 4, 0, 4, 0]
    recipes["reserved"] = 1
    assert hashed_view(recipes, 3) is None


def test_decoding(folder):
    """Pictures are decoded as the index says: EXIF orientation applied, 16-bit grey scaled. The stored hashes are C++'s."""
    images, cache = folder / "turned", folder / "upright"
    random_numbers = np.random.default_rng(2)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = random_numbers.integers(0, 256, (23, 37, 3), dtype=np.uint8)
        kind, options = [("png", {}), ("webp", {"lossless": True}), ("jpg", {"quality": 90})][orientation % 3]
        path = images / "ant" / f"{orientation}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, exif=exif, **options)
    for i in range(4):
        path = images / ("bee" if i % 2 else "cat") / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random_numbers.integers(0, 65536, (30, 41), dtype=np.uint16)).save(path)
    settings = [f"images={images}", f"cache={cache}", "passes=1", "exif_orientation=apply", "grey16=scale", "check_images=0"]
    command = [BIN / "vitrine-extract", folder / "extract.toml", *(word for s in settings for word in ("--set", s))]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "7 of 12 images examined have an EXIF orientation other than upright, which is applied" in run.stderr, run.stderr
    assert "4 of 12 images examined are 16-bit grey PNG files, which are scaled to 8 bits" in run.stderr, run.stderr
    made = Cache(cache)
    assert made.index.apply_orientation and made.index.scale_grey16
    assert not Cache(folder / "cache").index.apply_orientation
    turned = made.ids.index("ant/6.png")
    assert (made.index.height[turned], made.index.width[turned]) == (37, 23)
    reader = Views(images, made)
    for group in range(made.plan.groups_per_pass):
        reader.read(0, group)  # compares one view's hash itself
    for image in range(len(made.index)):
        reader.picture(image)


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        extract(folder)
        test_mixing()
        for test in (test_pixels, test_page, test_wrong_pictures, test_without_labels, test_left_out, test_decoding):
            test(folder)
    print("pixels: alike")


if __name__ == "__main__":
    sys.exit(main())

"""Compares the decoder with PIL's convert("RGB"), the resampler against PIL's antialiased filters and the jitter
against torchvision's, on pictures made here: odd sizes, up and down, every kind of file that ImageNet and its likes
hold. Lossy formats may differ by what two versions of a decoder differ by. A resize from the same pixels is PIL's, byte for byte."""
import itertools
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import functional

MAKE_VIEW = Path(os.environ["VITRINE_BIN"]) / "make_view"
failures = []


def ours(*words):
    run = subprocess.run([MAKE_VIEW, *map(str, words)], stdout=subprocess.PIPE, check=True)
    return np.frombuffer(run.stdout, np.uint8)


def compare(what, mine, theirs, limit):
    theirs = np.asarray(theirs)
    if mine.size != theirs.size:
        failures.append(f"{what}: {mine.size} bytes, expected {theirs.size}")
        return
    differences = np.abs(mine.reshape(theirs.shape).astype(int) - theirs.astype(int))
    worst = int(differences.max())
    print(f"{what}: largest difference {worst}, limit {limit}")
    if worst > limit:
        failures.append(f"{what}: {worst} levels, limit {limit}")


def picture(height, width, channels, seed):
    """Smooth waves with noise on them: neither flat nor beyond what JPEG keeps."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(x / random.uniform(2, 30) + y / random.uniform(2, 30) + c) for c in range(channels)]
    return np.clip(np.stack(waves, -1) + random.normal(0, 12, (height, width, channels)), 0, 255).astype(np.uint8)


def files(folder):
    rgb = Image.fromarray(picture(97, 131, 3, 0))
    grey = Image.fromarray(picture(61, 53, 1, 1)[:, :, 0])
    cmyk = Image.fromarray(picture(75, 83, 4, 2), "CMYK")
    deep = Image.fromarray((np.arange(40 * 50).reshape(40, 50) * 33 % 65536).astype(np.uint16))
    alpha = Image.fromarray(picture(45, 71, 4, 3), "RGBA")
    see_through = rgb.quantize(200)
    see_through.info["transparency"] = 7
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn, to be ignored
    # name, image, format, options, largest difference allowed
    makers = [
        ("odd.JPEG", rgb, "JPEG", {"quality": 90}, 1),
        ("full.JPEG", rgb, "JPEG", {"quality": 95, "subsampling": 0}, 1),
        ("progressive.jpg", rgb, "JPEG", {"quality": 80, "progressive": True}, 1),
        ("turned.jpg", rgb, "JPEG", {"exif": exif}, 1),
        ("grey.JPEG", grey, "JPEG", {}, 1),
        ("cmyk.JPEG", cmyk, "JPEG", {"quality": 90}, 1),
        ("png.JPEG", rgb, "PNG", {}, 0),
        ("palette.png", rgb.quantize(64), "PNG", {}, 0),
        ("small_palette.png", rgb.quantize(11), "PNG", {}, 0),
        ("see_through.png", see_through, "PNG", {}, 0),
        ("bits.png", grey.convert("1"), "PNG", {}, 0),
        ("grey.png", grey, "PNG", {}, 0),
        ("grey_alpha.png", alpha.convert("LA"), "PNG", {}, 0),
        ("alpha.png", alpha, "PNG", {}, 0),
        ("deep.png", deep, "PNG", {}, 0),
        ("lossless.webp", rgb, "WEBP", {"lossless": True}, 0),
        ("alpha.webp", alpha, "WEBP", {"lossless": True, "exact": True}, 0),
        ("lossy.webp", rgb, "WEBP", {"quality": 80}, 1),
    ]
    for name, image, kind, options, limit in makers:
        image.save(folder / name, kind, **options)
        yield folder / name, limit
    # 16-bit colour, which PIL reads and does not write: filter 0 rows by hand.
    yield write_deep_colour(folder / "deep_colour.png"), 0
    # YCCK: the Adobe marker of the CMYK file says that its planes are turned; PIL and we must read it alike.
    content = (folder / "cmyk.JPEG").read_bytes()
    at = content.find(b"Adobe")
    if at >= 0:
        turned = bytearray(content)
        turned[at + 11] = 2
        (folder / "ycck.JPEG").write_bytes(turned)
        yield folder / "ycck.JPEG", 1
    else:
        failures.append("PIL wrote a CMYK file without an Adobe marker: no YCCK file to test with")


def write_deep_colour(path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = np.random.default_rng(5).integers(0, 65536, (19, 23, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 23, 19, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def compare_crops(path):
    """On lossless files, to test only the resampler."""
    image = Image.open(path).convert("RGB")
    random = np.random.default_rng(6)
    shapes = [(224, 224), (17, 33), (96, 96), (1, 1), (7, 250), (131, 97)]
    for trial in range(12):
        height = int(random.integers(1, image.height + 1))
        width = int(random.integers(1, image.width + 1))
        if trial == 0:
            height, width = image.height, image.width
        top, left = int(random.integers(0, image.height - height + 1)), int(random.integers(0, image.width - width + 1))
        out_height, out_width = shapes[trial % len(shapes)]
        flip = trial % 2
        theirs = image.crop((left, top, left + width, top + height)).resize((out_width, out_height), Image.BICUBIC)
        if flip:
            theirs = theirs.transpose(Image.FLIP_LEFT_RIGHT)
        mine = ours("crop", path, top, left, height, width, out_height, out_width, flip)
        compare(f"{path.name} {height}x{width} to {out_height}x{out_width}", mine, theirs, 0)


def compare_centre(folder):
    cases = [(97, 131, 64, 0.9), (150, 101, 96, 0.875), (80, 80, 48, 1.0), (41, 53, 64, 0.9)]
    filters = ("box", "bilinear", "hamming", "bicubic", "lanczos")
    for number, ((height, width, size, fraction), filter_name) in enumerate(itertools.product(cases, filters)):
        path = folder / f"centre{number}.png"
        Image.fromarray(picture(height, width, 3, 10 + number)).save(path)
        view = transforms.Compose([
            transforms.Resize(int(size / fraction), transforms.InterpolationMode(filter_name)),
            transforms.CenterCrop(size),
        ])
        compare(f"{filter_name} centre view {height}x{width}", ours("centre", path, size, fraction, filter_name),
                view(Image.open(path)), 1)


def compare_jitter(path):
    """Same formulas in the same precision, but another order of sums: one level where a sum lies at a whole number."""
    image = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1)
    for step, factors in {"brightness": [0.6, 1.4], "contrast": [0.6, 1.4], "saturation": [0.6, 1.9],
                          "hue": [-0.5, 0.03, 0.37]}.items():
        for factor in factors:
            theirs = getattr(functional, "adjust_" + step)(image, factor).permute(1, 2, 0).numpy()
            compare(f"{step} {factor}", ours(step, path, factor), theirs, 1)


def compare_upright(folder):
    """EXIF orientation applied, in all three formats, against exif_transpose()."""
    image = Image.fromarray(picture(33, 47, 3, 20))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for name, options, limit in (("turned.png", {}, 0), ("turned.webp", {"lossless": True}, 0),
                                     ("turned.jpg", {"quality": 95}, 1)):
            image.save(folder / name, exif=exif, **options)
            theirs = ImageOps.exif_transpose(Image.open(folder / name)).convert("RGB")
            compare(f"{name}, orientation {orientation}", ours("upright", folder / name), theirs, limit)


def compare_scaled(folder):
    """16-bit grey scaled, every value: PIL's samples over 257, rounded."""
    path = folder / "every_grey.png"
    Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256)).save(path)
    samples = np.asarray(Image.open(path)).astype(np.int64)
    if samples.max() != 65535:
        failures.append(f"PIL gives 16-bit grey up to {samples.max()}")
    theirs = np.repeat(np.rint(samples / 257).astype(np.uint8)[..., None], 3, 2)
    compare("16-bit grey, scaled", ours("scaled", path), theirs, 0)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, limit in files(folder):
            compare(path.name, ours("decode", path), Image.open(path).convert("RGB"), limit)
        compare_crops(folder / "png.JPEG")
        compare_centre(folder)
        compare_jitter(folder / "png.JPEG")
        compare_upright(folder)
        compare_scaled(folder)
    for failure in failures:
        print("FAILED", failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Quantises an exported student to 8 bits with ONNX Runtime: weights per output channel, activations calibrated on views of the
cache that it learnt from, as QuantizeLinear/DequantizeLinear pairs, which ONNX Runtime and OpenVINO take, and with --symmetric TensorRT.

    quantise.py STUDENT.onnx -o INT8.onnx --cache CACHE --images IMAGES [--unlabelled DIR] [--groups N] [--seed N]
                [--tune STEPS] [--symmetric] [--evaluate FOLDER]

STUDENT.onnx is from vitrine-export, with either --input. IMAGES is the folder that the cache was made from. --groups groups of views
(8 by default) are drawn from all passes by --seed. --evaluate measures both files on clean crops of a folder of class folders.

--tune, where more than half a point of accuracy is lost without it: equalises the channels between convolutions, then trains the
student for STEPS steps of a group each, rounded to 8 bits, by KL to the cached logits, and learns the activations' ranges. Needs PyTorch,
and a student with the teacher's classes in the cache's order.
"""
import argparse
import json
import logging
import os
import pathlib
import random
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from PIL import Image

from student_file import StudentFileError, read_student

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
from vitrine_cache import Cache, CacheError, left_out  # noqa: E402
from vitrine_cache.views import Views, decode  # noqa: E402

BATCH = 64
TEMPERATURE = 4.0  # of --tune


def fail(*words):
    print("quantise:", *words, file=sys.stderr)
    sys.exit(2)


class Student:
    """What the file says of itself."""

    def __init__(self, path):
        try:
            model, record = read_student(path)
        except StudentFileError as problem:
            fail(problem)
        if "vitrine.quantisation" in record:
            fail(f"{path}: is in 8 bits already; give the file that vitrine-export wrote")
        how = json.loads(record["vitrine.preprocessing"])
        self.path, self.metadata = str(path), record
        self.classes = json.loads(record["vitrine.classes"])
        self.size, self.shorter = how["size"], how["resize_shorter_side"]
        self.mean, self.std = (np.array(how[key], np.float32).reshape(1, 3, 1, 1) for key in ("mean", "std"))
        self.orientation, self.scale_grey = record["vitrine.exif_orientation"] == "apply", record["vitrine.grey16"] == "scale"
        tensor = model.graph.input[0].type.tensor_type
        self.takes_bytes = tensor.elem_type == onnx.TensorProto.UINT8
        self.batch = tensor.shape.dim[0].dim_value  # 0: any

    def input_of(self, pictures):
        """From uint8 [N, size, size, 3]."""
        if self.takes_bytes:
            return np.ascontiguousarray(pictures)
        planes = pictures.transpose(0, 3, 1, 2).astype(np.float32)
        return np.ascontiguousarray((planes / 255 - self.mean) / self.std)

    def batches(self, pictures):
        """`pictures` in the file's batches; of a fixed batch the rest is dropped."""
        step = self.batch or BATCH
        for first in range(0, len(pictures), step):
            part = pictures[first:first + step]
            if not self.batch or len(part) == step:
                yield self.input_of(part)

    def crop(self, path):
        """A clean crop: the shorter side resized, the centre cropped; uint8 [size, size, 3]."""
        picture = decode(path.read_bytes(), self.orientation, self.scale_grey)
        short, long = sorted(picture.size)
        other = self.shorter * long // short
        width, height = (self.shorter, other) if picture.width <= picture.height else (other, self.shorter)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return np.asarray(picture.crop((left, top, left + self.size, top + self.size)))


class CalibrationViews(CalibrationDataReader):
    """Views of the cache at the student's size, without those that were left out."""

    def __init__(self, student, cache, images, unlabelled, groups, seed):
        self.student, self.views = student, Views(images, cache, student.size, unlabelled, allow_pictures=True)
        places = [(pass_, group) for pass_ in cache.recipe_passes for group in range(cache.plan.groups_per_pass)]
        self.places = iter(random.Random(seed).sample(places, min(groups, len(places))))
        self.ready, self.count, self.groups = iter(()), 0, groups

    def get_next(self):
        for batch in self.ready:
            self.count += len(batch)
            return {"input": batch}
        for pass_, group in self.places:
            pixels, recipes, _ = self.views.read_with_recipes(pass_, group)
            self.ready = self.student.batches(pixels[~left_out(recipes)])
            return self.get_next()
        return None


def tuned(student, model, views, steps, seed, symmetric):
    """The model after `steps` steps of fine-tuning in 8 bits (int8_tuning.py), its activations' ranges, and words on it."""
    import torch
    from int8_tuning import tune
    from vitrine_cache.losses import kd
    cache = views.views.cache
    track = cache.track("logits")
    if track.shape != (len(student.classes),):
        fail(f"{student.path}: has {len(student.classes)} classes, and {track.directory} has logits of {track.shape[0]}; --tune needs the "
             "teacher's classes, leave it out")
    if cache.classes and student.classes != list(cache.classes):
        fail(f"{student.path}: has other classes than {cache.directory}, or in another order; --tune needs the teacher's, leave it out")
    # Dense logits of a topk track are right at its first temperature only.
    temperature = track.codec["temperatures"][0] if track.encoding == "topk" else TEMPERATURE
    passes = [pass_ for pass_ in cache.recipe_passes if pass_ in track.passes]
    if not passes:
        fail(f"{track.directory}: has no complete pass; extract it")
    places = [(pass_, group) for pass_ in passes for group in range(cache.plan.groups_per_pass)]
    order = random.Random(seed)

    def batch(place):
        pixels, recipes, _ = views.views.read_with_recipes(*place)
        there = ~left_out(recipes)
        return torch.from_numpy(student.input_of(pixels[there])), torch.from_numpy(track.read(*place)[there])

    def batches():
        while True:
            yield from (one for one in map(batch, order.sample(places, len(places))) if len(one[0]))
    torch.manual_seed(seed)
    stream = batches()
    calibration = [next(stream) for _ in range(min(views.groups, len(places)))]
    out, ranges, before, after = tune(model, calibration, stream, lambda scores, target: kd(scores, target, temperature), steps, symmetric)
    return out, ranges, f"tuned for {steps} steps: KL to the teacher in 8 bits {before:.4f}, then {after:.4f}"


def labelled_pictures(student, folder):
    """[(file, class)] of the class folders; what is no picture is left out."""
    if not os.path.isdir(folder):
        fail(f"{folder}: is not a folder; give --evaluate one that has a folder of pictures for each class")
    number = {name: i for i, name in enumerate(student.classes)}
    found = []
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        if entry.name not in number:
            fail(f"{folder}: the class folder {entry.name} is not among the student's classes")
        for file in sorted(pathlib.Path(entry.path).rglob("*")):
            if file.is_file() and not file.name.startswith(".") and is_picture(file):
                found.append((file, number[entry.name]))
    if not found:
        fail(f"{folder}: holds no pictures in class folders")
    return found


def is_picture(file):
    try:
        with Image.open(file):
            return True
    except (OSError, Image.DecompressionBombError):
        return False


def top1(student, path, pictures):
    """The share of pictures that the file names right, and their number; those that cannot be decoded are left out. Without saturation
    (tools/DEPLOY.md)."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    right = count = 0
    step, crops, labels = student.batch or BATCH, [], []
    for file, label in [*pictures, (None, None)]:
        if file is not None:
            try:
                crops.append(student.crop(file))
                labels.append(label)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # as PIL refuses a damaged file
                continue
        if crops and (len(crops) == step or file is None):
            for batch in student.batches(np.stack(crops)):
                guesses = session.run(None, {"input": batch})[0].argmax(1)
                right += int((guesses == labels).sum())
                count += len(guesses)
            crops, labels = [], []
    if not count:
        fail(f"{pictures[0][0].parent}: no picture can be decoded, or there are fewer than the file's batch of {step}")
    return right / count, count


def quantise(student, out, views, tuning=0, seed=0, symmetric=False):
    """Writes the 8-bit model of `student` to `out`, with its metadata and "vitrine.quantisation". Returns words on the tuning, if any."""
    logging.disable(logging.WARNING)  # advice to fold BatchNorm first, which is folded
    model, ranges, words = onnx.load(student.path), {}, ""
    if tuning:
        model, ranges, words = tuned(student, model, views, tuning, seed, symmetric)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = os.path.join(folder, "int8.onnx")
        try:
            quantize_static(model, made, views, quant_format=QuantFormat.QDQ, per_channel=True,
                            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8, weight_type=QuantType.QInt8,
                            calibrate_method=CalibrationMethod.MinMax,
                            extra_options={"ActivationSymmetric": symmetric, "TensorQuantOverrides": {
                                name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in ranges.items()}})
        except ValueError:
            if views.count > 0:
                raise
            fail(f"{student.path}: no group of views fills its batch of {student.batch}; export it with --batch 0")
        model = onnx.load(made)
        how = {"weights": "int8, per channel", "activations": "int8, symmetric" if symmetric else "uint8", "views": views.count,
               "plan": views.views.cache.plan.hash, **({"tuned_steps": tuning} if tuning else {})}
        onnx.helper.set_model_props(model, {**student.metadata, "vitrine.quantisation": json.dumps(how)})
        onnx.save(model, made)
        os.replace(made, out)
    return words


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=pathlib.Path)
    parser.add_argument("-o", "--out", type=pathlib.Path, required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--unlabelled")
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tune", type=int, default=0, metavar="STEPS")
    parser.add_argument("--symmetric", action="store_true", help="activations as int8 around 0")
    parser.add_argument("--evaluate")
    options = parser.parse_args()
    if options.groups < 1:
        fail(f"--groups {options.groups} is not allowed; expected at least 1")
    if options.tune < 0:
        fail(f"--tune {options.tune} is not allowed; expected at least 1, or nothing")
    if not options.out.parent.is_dir():
        fail(f"{options.out}: its folder does not exist; make it first")
    if options.out.exists() and not options.out.is_file():
        fail(f"{options.out}: is not a regular file; name another with -o")
    student = Student(options.student)
    if options.out.exists() and options.out.samefile(options.student):
        fail(f"{options.out}: is the student itself; name another file with -o")
    pictures = labelled_pictures(student, options.evaluate) if options.evaluate else []
    try:
        views = CalibrationViews(student, Cache(options.cache), options.images, options.unlabelled, options.groups, options.seed)
        words = quantise(student, options.out, views, options.tune, options.seed, options.symmetric)
    except CacheError as error:
        fail(error)
    before, after = (os.path.getsize(path) for path in (student.path, options.out))
    print(f"{options.out}: {after / 1e6:.1f} MB (FP32: {before / 1e6:.1f} MB), calibrated on {views.count} views")
    if words:
        print(words)
    if options.evaluate:
        for name, path in (("FP32", student.path), ("INT8", str(options.out))):
            share, count = top1(student, path, pictures)
            print(f"{name}: top-1 {100 * share:.2f} % on {count} images")


if __name__ == "__main__":
    main()

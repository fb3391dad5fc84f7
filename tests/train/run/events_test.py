"""TensorBoard's own reader finds in RUN/events what metrics.jsonl and metrics.csv say, once for each step, also after a resumed run."""
import csv
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from tensorboard.backend.event_processing import event_accumulator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools/python"))
from vitrine_cache import Container  # noqa: E402

BIN = pathlib.Path(os.environ["VITRINE_BIN"])
EVENTS = {"step": "train", "validation": "validation", "end": "end"}


def check(holds, *words):
    """The test fails unless it holds."""
    if not holds:
        raise AssertionError(*words)


def draw(folder):
    numbers = np.random.default_rng(1)
    for label, name in enumerate(["ant", "bee", "cat"]):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            noise = numbers.normal(60 + 60 * label, 25, (40, 40, 3))
            Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(folder / name / f"{i}.png")


def train(folder, *settings):
    words = [BIN / "vitrine-train", folder / "train.toml", *(word for setting in settings for word in ("--set", setting))]
    process = subprocess.run([str(word) for word in words], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(process.returncode == 0, process.stdout)


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def scalars_of(run):
    """{(tag, step): value} by metrics.jsonl."""
    found = {}
    for line in lines(run):
        for key, value in line.items():
            if line["event"] in EVENTS and key != "step" and isinstance(value, (int, float)) and not isinstance(value, bool):
                place = (f"{EVENTS[line['event']]}/{key}", line["step"])
                check(place not in found, place)
                found[place] = float(np.float32(value))
    return found


def read(run):
    sizes = {event_accumulator.SCALARS: 0, event_accumulator.HISTOGRAMS: 0, event_accumulator.IMAGES: 0}  # 0: keep all
    return event_accumulator.EventAccumulator(str(run / "events"), size_guidance=sizes).Reload()


def same_scalars(run):
    events = read(run)
    found = {}
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            check((tag, event.step) not in found, "a step twice", tag, event.step)
            found[tag, event.step] = event.value
    check(found == scalars_of(run), set(found.items()) ^ set(scalars_of(run).items()))
    return events


def same_table(run):
    rows = list(csv.DictReader(io.StringIO((run / "metrics.csv").read_text())))
    told = [line for line in lines(run) if line["event"] in ("step", "validation")]
    check(len(rows) == len(told), len(rows), len(told))
    for row, line in zip(rows, told):
        check({key for key, cell in row.items() if cell} == set(line), row, line)
        for key, value in line.items():
            check(row[key] == (value if isinstance(value, str) else json.dumps(value)) or float(row[key]) == value, key, row[key], value)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        draw(folder / "images")
        (folder / "train.toml").write_text(
            f"images = '{folder}/images'\nvalidation = '{folder}/images'\ntest = '{folder}/images'\noutput = '{folder}/run'\nbatch = 4\n"
            "threads = 1\nworkers = 1\nlog_every = 1\nsize = 32\n[model]\nwidth = 8\n[targets]\nsource = 'none'\n"
            "[plan]\ngroup = 8\nshard_groups = 1\nimage_size = 32\n[schedule]\nalign = { epochs = 0 }\n"
            "joint = { epochs = 2 }\nfine_tune = { epochs = 1 }\n")
        run, whole = folder / "run", folder / "whole"
        train(folder, f"output={whole}")
        events = same_scalars(whole)
        same_table(whole)
        check(len(list((whole / "events").iterdir())) == 1, list((whole / "events").iterdir()))
        check([line["epoch"] for line in lines(whole) if line["event"] == "validation"] == [1, 2, 3], lines(whole))
        steps = [line["step"] for line in lines(whole) if line["event"] == "step"]
        check(steps == list(range(1, len(steps) + 1)), steps)
        check(lines(whole)[-1]["event"] == "end" and lines(whole)[-1]["on"] == "test", lines(whole)[-1])

        pictures = [tag for tag in events.Tags()["images"] if tag.startswith("views/")]
        check(len(pictures) == 8 == len(events.Tags()["images"]), events.Tags()["images"])
        for tag in pictures:
            (event,) = events.Images(tag)
            shown = Image.open(io.BytesIO(event.encoded_image_string))
            check(event.step == 0 and shown.size == (event.width, event.height) == (32, 32) and shown.mode == "RGB", tag, shown)

        histograms = events.Histograms("student/weight_norms")
        check([event.step for event in histograms] == [len(steps) // 3, 2 * len(steps) // 3, len(steps)], histograms)
        for event in histograms:
            value = event.histogram_value
            check(sum(value.bucket) == value.num > 10, value)
            check(value.bucket_limit[-1] == value.max >= value.min >= 0 and value.sum_squares >= value.sum**2 / value.num, value)

        # A run that is killed after a line and before its checkpoint leaves events that the next process makes again.
        train(folder, f"max_steps={len(steps) // 3}")  # the end of an epoch
        train(folder, "max_steps=5")
        before = shutil.copytree(run, folder / "copy")
        train(folder, "max_steps=7")
        for part in ("metrics.jsonl", "metrics.csv", "events"):  # of step 7, with the checkpoint of step 5
            target = before / part
            shutil.rmtree(target) if target.is_dir() else target.unlink()
            (shutil.copytree if (run / part).is_dir() else shutil.copy)(run / part, target)
        shutil.rmtree(run)
        before.rename(run)
        train(folder)
        same_scalars(run)
        same_table(run)
        check(len(list((run / "events").iterdir())) == 4, list((run / "events").iterdir()))

        def numbers(directory):  # without times
            return [{key: value for key, value in line.items() if "second" not in key and key != "wait_share"}
                    for line in lines(directory) if line["event"] != "phase"]
        check(numbers(run) == numbers(whole), "a resumed run has other numbers")
        check([event.step for event in read(run).Histograms("student/weight_norms")] == [event.step for event in histograms],
              read(run).Histograms("student/weight_norms"))
        check(len(read(run).Images("views/0")) == 1, "a resumed run shows its first views again")

        # From a cache with attention, the views are also shown with the teacher's attention over them.
        torch.manual_seed(1)
        vit = timm.models.VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3)
        save_file(vit.state_dict(), folder / "teacher.safetensors")
        (folder / "extract.toml").write_text(
            f"images = '{folder}/images'\ncache = '{folder}/cache'\nworkers = 1\npasses = 1\nallow_chance = true\n"
            f"[teacher]\nweights = '{folder}/teacher.safetensors'\nheads = 2\nmicro_batch = 4\n"
            "[taps]\nfeatures = []\nattention = [-1]\n[plan]\ngroup = 8\nimage_size = 32\nshard_groups = 1\n")
        subprocess.run([BIN / "vitrine-extract", folder / "extract.toml"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        train(folder, f"output={folder}/cached", "targets.source=cache", f"targets.cache={folder}/cache", "targets.attention=attention.1",
              "max_steps=1")
        shown = read(folder / "cached")
        check(sorted(shown.Tags()["images"]) == sorted(f"{kind}/{i}" for kind in ("views", "attention") for i in range(8)), shown.Tags())
        # The codec's error, as the shards record it.
        files = sorted((folder / "cache").glob("*/attention.1/0*.h5"))
        check(len(files) == 3, files)
        teacher = files[0].parent.parent.name
        for key in ("total_variation", "worst_total_variation"):
            recorded = [Container(file).json("vitrine shard")["loss"][key] for file in files]
            (event,) = shown.Histograms(f"codec/{teacher}/attention.1/{key}")
            value = event.histogram_value
            check(event.step == 0 and value.num == 3 and (value.min, value.max) == (min(recorded), max(recorded)), value, recorded)
            check(abs(value.sum - sum(recorded)) < 1e-12, value, recorded)
        tracks = {tag.split("/")[2] for tag in shown.Tags()["histograms"] if tag.startswith("codec/")}
        check(tracks <= {"attention.1", "logits"}, tracks)
        plain, over = (np.asarray(Image.open(io.BytesIO(shown.Images(f"{kind}/0")[0].encoded_image_string))) for kind in ("views", "attention"))
        check(plain.shape == over.shape and (plain != over).any(), plain.shape, over.shape)


main()

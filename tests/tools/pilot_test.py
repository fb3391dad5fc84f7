"""tools/scripts/pilot.py ranks two teachers by what students learn from them, and resumes where it stopped."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import timm
import torch
from PIL import Image
from reader_support import check
from safetensors.torch import save_file

SOURCE = pathlib.Path(os.environ["VITRINE_SOURCE"])


def run(*words):
    process = subprocess.run([sys.executable, str(SOURCE / "tools" / "scripts" / "pilot.py"), *map(str, words)], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return process.returncode, process.stdout


def draw(folder):
    random_numbers = np.random.default_rng(1)
    for label, name in enumerate(["ant", "bee", "cat"]):
        (folder / name).mkdir(parents=True)
        for i in range(14):
            noise = random_numbers.normal(60 + 60 * label, 25, (40, 40, 3))
            Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(folder / name / f"{i}.png")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        draw(folder / "images")
        configs = []
        for seed, teacher in enumerate(["first", "second"]):
            torch.manual_seed(seed)
            vit = timm.models.VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3)
            save_file(vit.state_dict(), folder / f"{teacher}.safetensors")
            configs.append(folder / f"{teacher}.toml")
            configs[-1].write_text(f"images = '{folder}/images'\ncache = '{folder}/never'\nworkers = 1\n"
                                   f"[teacher]\nweights = '{folder}/{teacher}.safetensors'\nheads = 2\nmicro_batch = 4\n"
                                   "[taps]\nfeatures = [-1]\nattention = [-1]\ncalibration_views = 8\n"
                                   "[plan]\ngroup = 8\nimage_size = 32\n")
        words = [*configs, "--groups", 2, "--passes", 2, "--epochs", 2, "--held-out", 12, "--width", 8, "--out", folder / "pilot"]
        code, out = run(*words)
        check(code == 0 and "student's top-1" in out, out)
        rows = json.loads((folder / "pilot" / "pilot.json").read_text())
        check({row["teacher"] for row in rows} == {"first", "second"}, rows)
        check(rows[0]["student_top1"] >= rows[1]["student_top1"], rows)
        check(all(0 <= row["student_top1"] <= 1 and row["bytes_per_view"] > 0 and row["core_ms_per_image"] > 0 for row in rows), rows)
        parts = {part: {os.path.realpath(path) for path in (folder / "pilot" / "images" / part).rglob("*.png")}
                 for part in ("train", "held_out")}
        check(len(parts["train"]) >= 16 and len(parts["held_out"]) == 12 and not parts["train"] & parts["held_out"], parts)
        check(not (folder / "never").exists(), "the configurations' own cache was touched")

        log = (folder / "pilot" / "first" / "run" / "metrics.csv").read_text()
        code, out = run(*words)  # finished steps are not made again
        check(code == 0 and (folder / "pilot" / "first" / "run" / "metrics.csv").read_text() == log, out)
        again = json.loads((folder / "pilot" / "pilot.json").read_text())
        check([row["student_top1"] for row in again] == [row["student_top1"] for row in rows], again)

        code, out = run(configs[0], configs[0])
        check(code == 2 and "file names must differ" in out, out)
        configs[1].write_text(configs[1].read_text().replace(f"images = '{folder}/images'", f"images = '{folder}'"))
        code, out = run(*configs)
        check(code == 2 and "different images" in out, out)
        code, out = run(folder / "none.toml")
        check(code == 2 and "cannot be read as TOML" in out, out)


main()

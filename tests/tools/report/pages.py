"""Runs made up for the tests of vitrine-report, and the pages of them."""
import json
import math
import os
import pathlib
import subprocess

PIXEL = ("data:image/jpeg;base64,/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsO"
         "CwkJDRENDg8QEBEQCgwSExIQEw8QEBD/yQALCAABAAEBAREA/8wABgAQEAX/2gAIAQEAAD8A0s8g/9k=")


def report(*arguments):
    program = os.path.join(os.environ["VITRINE_BIN"], "vitrine-report")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def page(output, *runs):
    """The page of these runs, as text."""
    made = report(*runs, "-o", output)
    assert made.returncode == 0, made.stderr
    return pathlib.Path(output).read_text(encoding="utf-8")


def step_line(step, steps, every, seed):
    progress = step / steps
    phase = "align" if progress < 0.1 else "joint" if progress < 0.9 else "fine_tune"
    noise = math.sin(step * 12.9898 + seed) * 0.5
    loss = (0.4 + 3 * math.exp(-4 * progress)) * (1 + 0.15 * noise)
    line = {"event": "step", "step": step, "epoch": 1 + step * 48 // (steps + 1), "phase": phase,
            "lr": 0.05 * (0.5 + 0.5 * math.cos(math.pi * progress)), "loss": loss}
    if phase != "align":
        line |= {"kl": 0.3 * loss, "label": 1 + loss, "distillation_weight": 0.75, "output_weight": 0.3 + 0.4 * progress}
    line |= {"feature": 0.2 * loss, "attention": 0.004 * loss, "feature_weight": 0.7 - 0.4 * progress,
             "images_per_second": 900 + 200 * noise, "seconds": 0.02 * step, "wait_share": 0.1 + 0.1 * noise,
             "core_seconds": 0.04 * step}
    return json.dumps(line, separators=(",", ":"))


def make_run(folder, steps=2000, every=10, top1=0.6, seed=0, classes=36, names="class", evaluated=True, **settings):
    """A run with everything that a page shows."""
    folder.mkdir(parents=True)
    with open(folder / "metrics.jsonl", "w", encoding="utf-8") as out:
        for step in range(every, steps + 1, every):
            out.write(step_line(step, steps, every, seed) + "\n")
            if step % max(every, steps // 24 // every * every) == 0:
                share = top1 * (1 - math.exp(-5 * step / steps))
                out.write(json.dumps({"event": "validation", "step": step, "epoch": 1 + step * 48 // (steps + 1),
                                      "phase": "joint", "images": 1000, "top1": share, "top5": min(1, 1.4 * share),
                                      "loss": 3 - 2 * share, "agreement": 0.9 * share, "best": True, "validation_seconds": 1}) + "\n")
        out.write(json.dumps({"event": "phase", "step": steps // 10, "epoch": 5, "phase": "align",
                              "findings": [
                                  {"kind": "terms", "problem": False, "sentence": "The features' loss fell by 61 % in this phase."},
                                  {"kind": "silent channels", "problem": True, "sentence": "3 of 512 channels are dead."}]}) + "\n")
        out.write(json.dumps({"event": "end", "step": steps, "seconds": 0.02 * steps, "top1": top1, "on": "test"}) + "\n")
    summary = {"steps": steps, "images_seen": 32 * steps, "wall_seconds": 0.021 * steps, "core_seconds": 0.04 * steps,
               "wait_share": 0.11, "evaluated_on": "test", "evaluated_images": 2000, "top1": top1, "top5": min(1, 1.4 * top1),
               "validation_agreement": 0.9 * top1,
               "best": {"chosen_by": "top1", "score": top1, "step": steps, "epoch": 48}, "size": 96,
               "stages": {"features.3": "layer3"}, "changes": ["step 100: 2 <new> passes"]}
    (folder / "summary.json").write_text(json.dumps(summary))
    keys = {"images": '"demo/images"', "batch": 32, "seed": seed, "output": json.dumps(str(folder))} | settings
    (folder / "config.toml").write_text("".join(f"{key} = {value}\n" for key, value in keys.items()) +
                                        '[model]\narch = "resnet18"\n[targets]\nsource = "cache"\ncache = "gone"\n')
    if evaluated:
        evaluation = {"version": 1, "weights": "exported/best.safetensors", "about": "step 9", "images_in": "images/test",
                     "images": 2000, "left_out": 1, "top1": top1, "top5": 0.9, "calibration_error": 0.05,
                     "confidence": 0.7, "agreement": 0.8, "teacher": "vit_demo", "loss_of": "cross entropy with the label",
                     "loss": 1.5,
                     "classes": [{"name": f"{names} {c}", "images": 50, "right": (c * 7 + seed * 3) % 50} for c in range(classes)],
                     "hardest": [{"id": f"{names} {i}/{i}.jpg", "label": f"{names} {i}", "loss": 9.5 - i,
                                  "student": [{"class": f"{names} 3", "probability": 0.9}, {"class": "b", "probability": 0.05}],
                                  "teacher": [{"class": f"{names} {i}", "probability": 0.6}],
                                  "picture": PIXEL, "student_map": PIXEL, "teacher_map": PIXEL} for i in range(12)]}
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder

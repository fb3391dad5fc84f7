"""The config.json that timm writes for each of its ViTs: read_card() gives what timm itself resolves from it. And whole
folders of timm's hub form give their tensors back."""
import json
import os
import pathlib
import subprocess
import tempfile
import types

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.data import resolve_data_config
from timm.models import _hub

PROGRAM = [os.path.join(os.environ["VITRINE_BIN"], "peer_values"), "weights"]
POOLING = {"token": "class", "avg": "mean", "map": "attention"}


def cards_of(folders):
    run = subprocess.run([*PROGRAM, "card", *folders], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def check_configurations(folder):
    names = [name for module in ("vision_transformer", "eva", "beit", "deit")
             for name in timm.list_models(module=module, pretrained=True)]
    places = [os.path.join(folder, name) for name in names]
    for name, place in zip(names, places):
        config = timm.get_pretrained_cfg(name)
        # Only what save_config_for_hf asks a model for.
        model = types.SimpleNamespace(pretrained_cfg=config.to_dict(), num_classes=config.num_classes, num_features=7,
                                      global_pool="avg")
        os.mkdir(place)
        _hub.save_config_for_hf(model, pathlib.Path(place) / "config.json")
    for name, card in zip(names, cards_of(places), strict=True):
        config = timm.get_pretrained_cfg(name)
        resolved = resolve_data_config(pretrained_cfg=config.to_dict())
        expected = {key: resolved[key] for key in ("interpolation", "crop_pct", "crop_mode")}
        expected |= {"mean": list(resolved["mean"]), "std": list(resolved["std"]), "architecture": config.architecture,
                     "image_size": resolved["input_size"][1], "classes": config.num_classes, "license": config.license,
                     "pooling": "mean", "notes": ""}
        for key, value in expected.items():
            # What timm does not write is timm's default, which the card leaves open.
            assert card[key] == value or (card[key] is None and key in ("crop_pct", "crop_mode")), (name, key, card)
    assert len(names) > 200, len(names)
    print(f"{len(names)} of timm's configurations")


def check_folder(folder):
    sizes = dict(img_size=32, patch_size=8, embed_dim=16, depth=1, num_heads=2)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2, **sizes)
    own = model.state_dict()
    for name, save in (("model.safetensors", save_file), ("pytorch_model.bin", torch.save)):
        place = pathlib.Path(folder) / ("hub of " + name)
        place.mkdir()
        _hub.save_config_for_hf(model, place / "config.json",
                                {"label_names": ["n1", "n2"], "label_descriptions": {"n2": "cat"}}, sizes)
        save(own, place / name)
        card = cards_of([place])[0]
        assert (card["dim"], card["depth"], card["heads"], card["patch"]) == (16, 1, 2, 8), card
        assert card["class_names"] == ["n1", "n2"] and card["class_descriptions"] == ["", "cat"], card
        assert card["classes"] == 2 and card["pooling"] == POOLING[model.global_pool], card
        subprocess.run([*PROGRAM, "tensors", place, os.path.join(folder, "out")], check=True)
        got = load_file(os.path.join(folder, "out"))
        assert got.keys() == own.keys() and all(torch.equal(got[name], own[name]) for name in own)
    print("folders of timm's hub form")


with tempfile.TemporaryDirectory() as directory:
    check_configurations(directory)
    check_folder(directory)

"""The mean, std and crop that Vitrine fills in by the name of a ViT, against timm's configurations of all its weights: what is not
called an assumption is right, for a name without a tag whatever the tag."""
import json
import os
import subprocess

import timm

# What has no weights to download is left out; get_pretrained_cfg() downloads nothing.
MODULES = ("vision_transformer", "eva", "deit", "beit")


def found(names):
    process = subprocess.run([os.path.join(os.environ["VITRINE_BIN"], "peer_values"), "preprocessing"],
                             input="".join(name + "\n" for name in names), text=True, stdout=subprocess.PIPE, check=True)
    return dict(zip(names, map(json.loads, process.stdout.splitlines()), strict=True))


def main():
    weights = [name for module in MODULES for name in timm.list_models(module=module, pretrained=True, include_tags=True)]
    untagged = sorted({name.split(".")[0] for name in weights})
    usual = {name: one for name, one in found(weights + untagged).items() if one}
    assert len(usual) > 450, len(usual)
    wrong, assumed = [], 0
    for name in weights:
        cfg = timm.get_pretrained_cfg(name)
        for asked in (name, name.split(".")[0]):
            ours = usual.get(asked)
            if not ours:
                continue
            colours = ours["mean"] == list(cfg.mean) and ours["std"] == list(cfg.std)
            if not (colours or ours["is_guess"]) or not (ours["crop_pct"] == cfg.crop_pct or ours["crop_pct_is_guess"]):
                wrong.append(f"{asked}: {ours}, timm's {name} has {cfg.mean}, {cfg.std}, {cfg.crop_pct}")
            if ours["interpolation"] != cfg.interpolation:
                wrong.append(f"{asked}: {ours}, timm's {name} has {cfg.interpolation}")
            if asked == name and ours["is_guess"]:
                assumed += 1
                assert colours, f"{name}: assumed {ours}"
    assert not wrong, "\n".join(wrong)
    assert assumed < 20, assumed
    assert usual["vit_base_patch16_224"]["is_guess"] and not usual["vit_base_patch16_224.dino"]["is_guess"]
    print(f"{len(usual)} names, of which {assumed} weights are assumed")


main()

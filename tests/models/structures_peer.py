"""The structure that is read from names and shapes of weights, for every ViT that timm knows by name, against timm's own
model: with the architecture's name nothing may be assumed, and without it everything that was assumed is said."""
import json
import os
import subprocess
import tempfile
import warnings

import timm
import torch
from timm.layers import weight_init
from timm.models.eva import Eva

linspace = torch.linspace  # timm reads its values, which meta tensors do not have
torch.linspace = lambda *args, **keys: linspace(*args, **{**keys, "device": "cpu"})
warnings.simplefilter("ignore")
# Only shapes count here: no initialisation.
weight_init._trunc_normal_ = lambda tensor, *_: tensor
for layer in (torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm):
    layer.reset_parameters = lambda self: None

ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu", "SiLU": "silu"}
MODULES = ("vision_transformer", "deit", "beit", "eva")
# What a VitStructure cannot be; timm itself cannot make the last.
REFUSED = ("aimv2_", "_18x2_", "_xp_", "_pwee_", "_rpn_", "_rope_mixed_", "enormous")


def pooling_of(model):
    if hasattr(model, "dist_token"):
        return "class_and_distilled"
    return {"token": "class", "avg": "mean", "map": "attention"}[model.global_pool]


def structure_of(model):
    """What determines timm's network, by our names."""
    block, patch = model.blocks[0], model.patch_embed.patch_size[0]
    # A convolution ignores what is beyond the last whole patch; ours takes no such images.
    out = {"image_size": model.patch_embed.grid_size[0] * patch, "patch": patch, "dim": model.embed_dim, "depth": len(model.blocks),
           "heads": block.attn.num_heads, "head_dim": round(block.attn.scale ** -2), "classes": model.num_classes,
           "registers": model.reg_token.shape[1] if getattr(model, "reg_token", None) is not None else 0,
           "eps": block.norm1.eps, "activation": ACTIVATIONS[type(block.mlp.act).__name__], "pooling": pooling_of(model),
           "norm": hasattr(model.norm, "weight"), "fc_norm": hasattr(model.fc_norm, "weight"),
           "class_token": getattr(model, "cls_token", None) is not None, "mlp_hidden": block.mlp.fc2.in_features}
    if getattr(model, "pos_embed", None) is None:
        out["positions"] = "none"
        out["image_size"] = model.default_cfg["input_size"][1]  # the shapes do not tell; DINOv3's is not the class's default
    else:
        prefix = 0 if getattr(model, "no_embed_class", False) else model.num_prefix_tokens
        out["positions"] = "all_tokens" if prefix or not model.num_prefix_tokens else "patches"
    if pooling_of(model) == "attention":
        out["pool_heads"] = model.attn_pool.num_heads
        out["pool_prefix"] = isinstance(model, Eva)
    rope = getattr(model, "rope", None)
    out["rope"] = {"NoneType": "none", "RotaryEmbeddingCat": "cat", "RotaryEmbeddingDinoV3": "dinov3"}[type(rope).__name__]
    if rope is not None:
        reference = getattr(rope, "ref_feat_shape", None)
        out.update(rope_temperature=rope.temperature, rope_offset=rope.grid_offset, rope_xy=rope.grid_indexing == "xy",
                   rope_reference_grid=reference[0] if reference else 0, rope_half=block.attn.rotate_half)
    return out


def shapes_of(model):
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


def ask(files):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("shapes.json", "out.json")]
        with open(paths[0], "w") as file:
            json.dump(files, file)
        subprocess.run([os.path.join(os.environ["VITRINE_BIN"], "peer_values"), "models", "structures", *paths], check=True)
        with open(paths[1]) as file:
            return json.load(file)


def main():
    files, expected, refused = {}, {}, []
    for module in MODULES:
        for name in timm.list_models(module=module):
            if name.startswith("test_vit"):
                continue
            if any(word in name for word in REFUSED):
                refused.append(name)
                files[name] = {"hints": {"arch": name}, "shapes": {}}
                continue
            with torch.device("meta"):
                model = timm.create_model(name)
            expected[name] = structure_of(model)
            shapes = shapes_of(model)
            files[name] = {"hints": {"arch": name + ".tag"}, "shapes": shapes}
            files["nameless " + name] = {"hints": {}, "shapes": shapes}
    ours = ask(files)
    for name in refused:
        assert "is not supported" in ours[name]["error"], ours[name]
    nameless = 0
    for name, theirs in expected.items():
        reading = ours[name]
        assert "error" not in reading, f"{name}: {reading['error']}"
        differ = {key: (reading["structure"][key], value) for key, value in theirs.items()
                  if reading["structure"][key] != value}
        assert not differ, f"{name}: {differ}"
        usual = [word for word in reading["notes"] + reading["assumed"]
                 if not word.startswith(("image_size 256", "pooling mean of patches"))]
        assert not usual, f"{name}: assumed {usual}"
        guess = ours["nameless " + name]
        if "error" in guess:
            assert "norm.weight and fc_norm.weight are both missing" in guess["error"], f"{name}: {guess['error']}"
            continue
        words = " ".join(guess["assumed"])
        for key, value in theirs.items():
            if guess["structure"][key] != value:  # a wrong guess must have been announced
                what = "rotary" if key.startswith("rope") else "heads" if key in ("head_dim", "pool_heads") else key
                assert what in words, f"{name} without its name: {key} = {guess['structure'][key]}, {value}; {words}"
                nameless += 1
    assert len(expected) > 190 and len(refused) > 15 and nameless > 0
    print(f"{len(expected)} architectures as in timm, {len(refused)} refused; {nameless} announced guesses were wrong")


main()

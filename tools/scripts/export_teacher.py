#!/usr/bin/env python3
"""Exports a timm model as a teacher for vitrine-extract (teacher.module), for architectures that Vitrine does not build itself.

    export_teacher.py NAME -o FILE [--weights FILE] [--classes K] [--size S] [--blocks N ...] [--precision fp32|bf16|fp16]
                      [--device cpu|cuda] [--micro-batch N]

FILE is a TorchScript archive. The module returns the logits, the pooled embedding, the output of each block (or stage) and, for blocks with
softmax attention and a class token, the class token's row of it. A forward always takes --micro-batch views: set teacher.micro_batch
to it. Without --weights the weights are random.
"""
import argparse
import contextlib
import functools
import json
import math
import os
import sys
import tempfile
import warnings

import timm
import torch


def fail(*words):
    print("export_teacher:", *words, file=sys.stderr)
    sys.exit(2)


def block_modules(model, chosen):
    """The modules whose outputs are features, by name: transformer blocks, else the stages that timm names."""
    blocks = getattr(model, "blocks", None)
    if isinstance(blocks, (torch.nn.ModuleList, torch.nn.Sequential)) and not hasattr(model, "stages"):
        names = [f"blocks.{i}" for i in range(len(blocks))]
    else:
        names = [info["module"] for info in getattr(model, "feature_info", [])]
    if not names:
        fail(f"{type(model).__name__} has neither blocks nor feature_info, so there is nothing to take features from")
    for number in chosen or ():
        if not 0 <= number < len(names):
            fail(f"--blocks {number} does not exist; the model has 0 to {len(names) - 1}: {', '.join(names)}")
    return names


class Teacher(torch.nn.Module):
    """Returns a dictionary of tensors: logits and embedding in FP32, features.N [B, C, H, W], attention.N [B, heads, H, W]."""

    def __init__(self, model, names, chosen, precision, device):
        super().__init__()
        self.model, self.precision, self.device_kind, self.seen = model, precision, device, {}
        self.prefix = getattr(model, "num_prefix_tokens", 0)
        for number, name in enumerate(names):
            if chosen and number not in chosen:
                continue
            module = model.get_submodule(name)
            module.register_forward_hook(lambda _m, _i, out, number=number: self.seen.__setitem__(("features", number), out))
            attention = getattr(module, "attn", None)
            if hasattr(attention, "attn_drop") and hasattr(attention, "fused_attn") and getattr(model, "cls_token", None) is not None:
                attention.fused_attn = False  # the fused kernel never makes the matrix
                attention.attn_drop.register_forward_hook(
                    lambda _m, inputs, _o, number=number: self.seen.__setitem__(("attention", number), inputs[0]))

    def as_map(self, value):
        if value.dim() == 4:  # channels first unless the model says otherwise
            return value.permute(0, 3, 1, 2) if getattr(self.model, "output_fmt", "NCHW") == "NHWC" else value
        tokens = value[:, self.prefix:]
        side = math.isqrt(int(tokens.shape[1]))
        return tokens.transpose(1, 2).reshape(value.shape[0], -1, side, side)

    def forward(self, x):
        self.seen.clear()
        kind = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        with torch.autocast(self.device_kind, dtype=kind or torch.bfloat16, enabled=kind is not None, cache_enabled=False):
            features = self.model.forward_features(x)
        features = features.float()  # the head in FP32: in 16 bits the best logits tie
        out = {"embedding": self.model.forward_head(features, pre_logits=True).float()}
        if self.model.num_classes > 0:
            out["logits"] = self.model.forward_head(features).float()
        for (what, number), value in self.seen.items():
            if what == "features":
                out[f"features.{number}"] = self.as_map(value).float().contiguous()
            else:
                row = value[:, :, 0, self.prefix:].float()
                side = math.isqrt(int(row.shape[-1]))
                out[f"attention.{number}"] = row.reshape(row.shape[0], row.shape[1], side, side).contiguous()
        return out


def model_of(args):
    """timm's model; an architecture that has no img_size takes any."""
    if args.weights and not os.path.isfile(args.weights):
        fail(f"{args.weights}: is not a file; give a state dict that timm can load")
    options = {} if args.classes is None else {"num_classes": args.classes}
    make = functools.partial(timm.create_model, args.name, pretrained=False, checkpoint_path=args.weights or "", **options)
    try:
        if args.size:
            with contextlib.suppress(TypeError):
                return make(img_size=args.size)
        return make()
    except RuntimeError as error:
        fail(str(error).splitlines()[0])


def card_of(args, model, teacher, example, config):
    with torch.no_grad():
        values = teacher(example)
    blocks = [{"features": None, "attention": None} for _ in teacher.names]
    for name, value in values.items():
        kind, _, number = name.partition(".")
        if number:
            blocks[int(number)][kind] = list(value.shape[1:])
    return {"version": 1, "name": args.name, "precision": args.precision, "device": args.device, "micro_batch": args.micro_batch,
            "image_size": example.shape[-1], "classes": model.num_classes, "embedding": values["embedding"].shape[1],
            "blocks": blocks, "outputs": list(values), "mean": list(config["mean"]), "std": list(config["std"]),
            "crop_pct": config["crop_pct"], "interpolation": config["interpolation"],
            "license": (model.pretrained_cfg or {}).get("license") or ""}


def save(path, teacher, example, card):
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # sizes are fixed, and the result is held against the model
    with torch.no_grad():
        traced = torch.jit.trace(teacher, example, strict=False, check_trace=False)
    torch.jit.save(traced, path, _extra_files={"vitrine.json": json.dumps(card)})
    return torch.jit.load(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("name", metavar="NAME", help="timm's name of the architecture")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    parser.add_argument("--weights", help="a state dict (.safetensors, .pth) that timm can load")
    parser.add_argument("--classes", type=int, help="classes of the head, where they are not the architecture's; 0: no head")
    parser.add_argument("--size", type=int, help="side of the input in pixels, where it is not the architecture's")
    parser.add_argument("--blocks", type=int, nargs="+", help="blocks (or stages) whose outputs are returned, from 0; default: all")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--micro-batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0, help="of random weights")
    args = parser.parse_args()
    if not os.path.isdir(os.path.dirname(args.output) or "."):
        fail(f"{args.output}: its folder does not exist; make it first")
    if os.path.exists(args.output) and not os.path.isfile(args.output):
        fail(f"{args.output}: is not a regular file; name another with -o")

    torch.manual_seed(args.seed)
    model = model_of(args).eval().requires_grad_(False)
    config = timm.data.resolve_model_data_config(model)
    size = args.size or config["input_size"][-1]
    device = torch.device(args.device)
    names = block_modules(model, args.blocks)
    teacher = Teacher(model, names, args.blocks, args.precision, args.device).eval().to(device)
    teacher.names = names
    example = torch.randn(args.micro_batch, 3, size, size, device=device)
    card = card_of(args, model, teacher, example, config)
    other = torch.randn(args.micro_batch, 3, size, size, device=device)
    limit = 1e-3 if args.precision == "fp32" else 0.1
    folder, name = os.path.split(args.output)
    with tempfile.TemporaryDirectory(dir=folder or ".") as place:  # in its own when it is known to be right
        part = os.path.join(place, name)
        loaded = save(part, teacher, example, card)
        with torch.no_grad():
            expected, found = teacher(other), loaded(other)
        differences = [((expected[key] - found[key]).abs().max() / expected[key].abs().max().clamp_min(1e-6)).item() for key in expected]
        worst = max(differences)
        if not all(one <= limit for one in differences):
            fail(f"{args.output}: the exported module would differ from the model by {worst:.2g} of the largest value on other pictures; "
                 "nothing was written")
        os.replace(part, args.output)
    print(f"{args.output}: {args.name}, {card['image_size']} pixels, {card['classes']} classes, {len(card['outputs'])} outputs; largest "
          f"difference from the model {worst:.2g} of the largest value")
    for number, (name, block) in enumerate(zip(names, card["blocks"])):
        if block["features"]:
            print(f"  block {number} ({name}): features {block['features']}" +
                  (f", attention {block['attention']}" if block["attention"] else ""))
    print(f"  teacher.module = \"{args.output}\", teacher.micro_batch = {args.micro_batch}, teacher.precision = \"{args.precision}\", "
          f"taps.features = [{', '.join(str(i) for i, b in enumerate(card['blocks']) if b['features'])}]")


if __name__ == "__main__":
    main()

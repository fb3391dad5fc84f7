#!/usr/bin/env python3
"""Exports a timm model as a teacher for vitrine-extract (teacher.module), for architectures that Vitrine does not build itself.

    export_teacher.py NAME -o FILE [--weights FILE] [--classes K] [--size S] [--blocks N ...] [--precision fp32|bf16|fp16]
                      [--device cpu|cuda] [--micro-batch N]

FILE is a TorchScript archive. The module returns the logits, the pooled embedding, the map of each block (or stage) and, for blocks with
softmax attention and a class token, the class token's row of it. A forward always takes --micro-batch views: set teacher.micro_batch
to it. Without --weights the weights are random.
"""
import argparse
import contextlib
import functools
import json
import os
import sys
import tempfile
import warnings

import timm
import torch


def fail(*words):
    print("export_teacher:", *words, file=sys.stderr)
    sys.exit(2)


def attempt(what, action):
    """What `action` returns, or the end of the program with one sentence."""
    try:
        with torch.no_grad():
            return action()
    except (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        fail(f"{what}: {lines[0].rstrip('.')}; choose another model or --size")


def feature_names(model, example):
    """What the model's feature maps are of, in their order: transformer blocks, else the stages that timm names."""
    stages = [info["module"] for info in getattr(model, "feature_info", [])]
    if not hasattr(model, "forward_intermediates"):
        if not stages:
            fail(f"timm names no stages of {type(model).__name__}, so there is nothing to take features from; choose another model")
        return stages
    final, maps = attempt("the model cannot be run", lambda: model.forward_intermediates(example))
    logits, plain = attempt("the model cannot be run", lambda: (model.forward_head(final), model(example)))
    if not torch.allclose(logits, plain, rtol=1e-4, atol=1e-4):
        fail(f"timm's forward_intermediates of {type(model).__name__} gives other logits than the model; choose another model")
    if len(maps) == len(getattr(model, "blocks", [])):
        return [f"blocks.{i}" for i in range(len(maps))]
    return stages if len(stages) == len(maps) else [f"map {i}" for i in range(len(maps))]


class Teacher(torch.nn.Module):
    """Returns a dictionary of tensors: logits and embedding in FP32, features.N [B, C, H, W], attention.N [B, heads, H, W].

    Features are the maps of timm's forward_intermediates, which knows how each model's tokens lie in the picture; of models without it, the
    maps that their stages return. Attention is taken where a block makes a matrix of tokens x tokens with a class token."""

    def __init__(self, model, names, chosen, precision, device):
        super().__init__()
        self.model, self.precision, self.device_kind, self.maps, self.matrices = model, precision, device, {}, {}
        self.chosen = sorted(set(chosen or range(len(names))))
        self.prefix = getattr(model, "num_prefix_tokens", 0) if getattr(model, "cls_token", None) is not None else 0
        self.knows_maps = hasattr(model, "forward_intermediates")
        for number in self.chosen:
            if not self.knows_maps:
                model.get_submodule(names[number]).register_forward_hook(
                    lambda _m, _i, out, number=number: self.maps.__setitem__(number, out.clone()))
            attention = getattr(model.get_submodule(names[number]), "attn", None) if names[number].startswith("blocks.") else None
            if hasattr(attention, "attn_drop") and hasattr(attention, "fused_attn") and self.prefix > 0:
                attention.fused_attn = False  # the fused kernel never makes the matrix
                attention.attn_drop.register_forward_hook(lambda _m, inputs, _o, number=number: self.matrices.__setitem__(number, inputs[0]))

    def run_model(self, x):
        """The last features, before the head; the maps are in self.maps, the matrices of attention in self.matrices."""
        if not self.knows_maps:
            return self.model.forward_features(x)
        final, maps = self.model.forward_intermediates(x, indices=self.chosen, output_fmt="NCHW")
        self.maps = dict(zip(self.chosen, maps, strict=True))
        return final

    def forward(self, x):
        self.maps, self.matrices = {}, {}
        kind = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        with torch.autocast(self.device_kind, dtype=kind or torch.bfloat16, enabled=kind is not None, cache_enabled=False):
            features = self.run_model(x)
        features = features.float()  # the head in FP32: in 16 bits the best logits tie
        out = {"embedding": self.model.forward_head(features, pre_logits=True).float()}
        if self.model.num_classes > 0:
            out["logits"] = self.model.forward_head(features).float()
        for number, value in sorted(self.maps.items()):
            if value.dim() != 4:
                raise ValueError(f"block {number} returns {value.dim()} dimensions, and timm does not say how they lie in the picture")
            out[f"features.{number}"] = value.float().contiguous()
            matrix, height, width = self.matrices.get(number), value.shape[2], value.shape[3]
            if matrix is not None and matrix.dim() == 4 and matrix.shape[2] == matrix.shape[3] == self.prefix + height * width:
                row = matrix[:, :, 0, self.prefix:].float()
                out[f"attention.{number}"] = row.reshape(row.shape[0], row.shape[1], height, width).contiguous()
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


def class_names(model):
    """Of the head's outputs, where timm knows them: the weights' own, or WordNet's for heads of ImageNet's classes."""
    own = (model.pretrained_cfg or {}).get("label_names")
    subset = timm.data.infer_imagenet_subset(model)
    names = list(own or (timm.data.ImageNetInfo(subset).label_names() if subset else []))
    return names if len(names) == model.num_classes else []


def card_of(args, model, teacher, example, config):
    values = attempt("the model cannot be exported", lambda: teacher(example))
    blocks = [{"features": None, "attention": None} for _ in teacher.names]
    for name, value in values.items():
        kind, _, number = name.partition(".")
        if number:
            blocks[int(number)][kind] = list(value.shape[1:])
    return {"version": 1, "name": args.name, "precision": args.precision, "device": args.device, "micro_batch": args.micro_batch,
            "image_size": example.shape[-1], "classes": model.num_classes, "embedding": values["embedding"].shape[1],
            "blocks": blocks, "outputs": list(values), "mean": list(config["mean"]), "std": list(config["std"]),
            "crop_pct": config["crop_pct"], "crop_mode": config["crop_mode"], "interpolation": config["interpolation"],
            "class_names": class_names(model) if args.weights else [],
            "license": (model.pretrained_cfg or {}).get("license") or ""}


def save(path, teacher, example, card):
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # sizes are fixed, and the result is held against the model
    traced = attempt("the model cannot be exported", lambda: torch.jit.trace(teacher, example, strict=False, check_trace=False))
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
    model.to(device)
    example = torch.randn(args.micro_batch, 3, size, size, device=device)
    names = feature_names(model, example[:1])
    for number in args.blocks or ():
        if not 0 <= number < len(names):
            fail(f"--blocks {number} does not exist; the model has 0 to {len(names) - 1}: {', '.join(names)}")
    teacher = Teacher(model, names, args.blocks, args.precision, args.device).eval().to(device)
    teacher.names = names
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

#!/usr/bin/env python3
"""Exports a timm model as a teacher for vitrine-extract (teacher.module), for architectures that Vitrine does not build itself.

    export_teacher.py NAME -o FILE [--weights FILE] [--classes K] [--size S] [--blocks N ...] [--precision fp32|bf16|fp16]
                      [--device cpu|cuda] [--micro-batch N] [--format torchscript|pt2]

FILE is a TorchScript archive, which runs on any processor, or with --format pt2 a package compiled by AOTInductor. Compiling takes a C++
compiler and from half a minute to several; the package runs on processors that have this one's instruction sets. The module returns the
logits, the pooled embedding, the map of each block (or stage) and, for blocks with softmax attention and a class token, the class token's
row of it. A forward always takes --micro-batch views: set teacher.micro_batch to it. Without --weights the weights are random.
"""
import argparse
import contextlib
import ctypes
import functools
import json
import logging
import os
import platform
import re
import sys
import tempfile
import warnings
import zipfile

import timm
import torch


def fail(*words):
    print("export_teacher:", *words, file=sys.stderr)
    sys.exit(2)


def attempt(what, action, remedy="choose another model or --size"):
    """What `action` returns, or the end of the program with one sentence."""
    try:
        with torch.no_grad():
            return action()
    except (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        fail(f"{what}: {lines[0].rstrip('.')}; {remedy}")


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
        maps, matrices = self.maps, self.matrices
        self.maps, self.matrices = {}, {}  # torch.export forbids that a forward leaves tensors behind
        for number, value in sorted(maps.items()):
            if value.dim() != 4:
                raise ValueError(f"block {number} returns {value.dim()} dimensions, and timm does not say how they lie in the picture")
            out[f"features.{number}"] = value.float().contiguous()
            matrix, height, width = matrices.get(number), value.shape[2], value.shape[3]
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


def processor():
    """What compiled code may use of this processor; the program that loads it compares. Instruction sets by the names in /proc/cpuinfo."""
    words = []
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("flags", "Features")):
                words = line.partition(":")[2].split()
                break
    compilers = re.compile("s?sse|avx|fma|f16c|bmi|abm|movbe|popcnt|amx|gfni|asimd|sve|bf16|i8mm")  # those that compilers use unasked
    return {"machine": platform.machine(), "capability": torch.backends.cpu.get_cpu_capability(),
            "instruction_sets": [word for word in words if compilers.match(word)]}


def save_torchscript(path, teacher, example, card):
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # sizes are fixed, and the result is held against the model
    traced = attempt("the model cannot be exported", lambda: torch.jit.trace(teacher, example, strict=False, check_trace=False))
    torch.jit.save(traced, path, _extra_files={"vitrine.json": json.dumps(card)})
    return torch.jit.load(path)


def save_package(path, teacher, example, card):
    warnings.filterwarnings("ignore")  # as above
    torch._logging.set_logs(all=logging.ERROR)
    package = path + ".pt2"  # torch insists on that name
    settings = {"freezing": card["device"] == "cpu",  # weights are cast and packed at compile time
                "cpp.threads": 1,  # many forwards run side by side
                "aot_inductor.link_libtorch": False,  # it would bring LibTorch's CUDA half to a CPU's process
                "cpp.vec_isa_ok": True,  # without LibTorch torch's trial of vector instructions fails, and the code would be scalar
                "aot_inductor.precompile_headers": False}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        remedy = "choose another model or --format torchscript"
        program = attempt("the model cannot be exported", lambda: torch.export.export(teacher, (example,), strict=False), remedy)
        attempt("the model cannot be compiled",
                lambda: torch._inductor.aoti_compile_and_package(program, package_path=package, inductor_configs=settings), remedy)
    with zipfile.ZipFile(package, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/extra/vitrine.json", json.dumps(card | {"compiled_for": processor()}))
    for name in ("libtorch_cpu.so", "libtorch_cuda.so")[:1 if card["device"] == "cpu" else 2]:  # which the package does not name
        ctypes.CDLL(os.path.join(os.path.dirname(torch.__file__), "lib", name), mode=ctypes.RTLD_GLOBAL)
    loaded = attempt("the compiled model cannot be loaded", lambda: torch._inductor.aoti_load_package(package), remedy)
    os.replace(package, path)
    return loaded


SAVE = {"torchscript": save_torchscript, "pt2": save_package}


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
    parser.add_argument("--format", choices=list(SAVE), default="torchscript", help="pt2: compiled for this processor")
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
        loaded = SAVE[args.format](part, teacher, example, card)
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

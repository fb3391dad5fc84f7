#!/usr/bin/env python3
"""Extraction as a PyTorch user would write it, on one thread: the peer of vitrine-bench extract.

    extract_peer.py ARCH IMAGES VIEWS BATCH ROUNDS OUT [--quick]

torchvision decodes, crops, flips and mixes VIEWS views of the pictures below IMAGES; timm's ARCH with random weights gives
logits, the last block's tokens and its class token's attention, in BF16; all are written as float16 to OUT. Prints JSON:
milliseconds of CPU time of the process per view, the best of the rounds, of each stage alone and of the whole with eager timm
("decode", "forward", "write", "whole"), of writing them compressed instead ("compress": int8 features with a scale per view and
channel, uint8 attention, float16 logits, byte shuffle and Zstandard level 3 in HDF5; where h5py and hdf5plugin are installed), and of the bare forward, without taps, in each way: "eager" (the better of autocast
and BF16 weights), "compiled" (inductor, frozen, the better of both; not with --quick), "openvino" (BF16; where it is
installed), and the same in FP32, for processors that multiply FP32 faster ("eager_fp32", "compiled_fp32", "openvino_fp32").
"""
import argparse
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "2")
import numpy as np
import timm
import torch
import torch.nn.functional as F
import torchvision
from torchvision.transforms import v2

CHUNK = 64  # views of a compressed chunk
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}
MEAN, STD = torch.tensor([0.5, 0.5, 0.5]).view(3, 1, 1), torch.tensor([0.5, 0.5, 0.5]).view(3, 1, 1)


def best(work, rounds, views):
    """Milliseconds per view after one warm-up."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return 1e3 * min(seconds[1:]) / views


def pictures(folder, views):
    paths = sorted(path for path in pathlib.Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
    if not paths:
        sys.exit(f"extract_peer.py: {folder}: has no pictures; expected JPEG, PNG or WebP files")
    return [str(paths[i % len(paths)]) for i in range(views)]


class Decoder:
    """DeiT's views, as Vitrine's plan draws them by default."""

    def __init__(self, paths, size):
        self.paths = paths
        self.view = v2.Compose([v2.RandomResizedCrop(size, interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
                                v2.RandomHorizontalFlip()])
        self.mix = v2.RandomChoice([v2.CutMix(num_classes=1000), v2.MixUp(alpha=0.8, num_classes=1000)])

    def __call__(self, first, count):
        views = torch.stack([self.view(torchvision.io.decode_image(path, mode=torchvision.io.ImageReadMode.RGB))
                             for path in self.paths[first:first + count]])
        mixed, _ = self.mix((views.float() / 255, torch.zeros(count, dtype=torch.int64)))
        return (mixed - MEAN) / STD


class Tapped:
    """timm's model with the targets that are kept; fused attention except in the tapped block."""

    def __init__(self, model):
        self.model, self.seen = model, {}
        block = model.blocks[-1]
        block.register_forward_hook(lambda _m, _i, out: self.seen.__setitem__("tokens", out))
        block.attn.qkv.register_forward_hook(lambda _m, _i, out: self.seen.__setitem__("qkv", out))

    def __call__(self, x):
        logits = self.model(x)
        tokens, heads = self.seen["tokens"][:, self.model.num_prefix_tokens:].float(), self.model.blocks[-1].attn.num_heads
        side = int(tokens.shape[1] ** 0.5)
        features = F.layer_norm(tokens, tokens.shape[-1:], eps=1e-6).transpose(1, 2).unflatten(2, (side, side))
        q, k, _ = self.seen["qkv"].unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4).float()
        row = (q[:, :, :1] @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(-1)[:, :, 0, self.model.num_prefix_tokens:]
        return {"logits": logits.float(), "features": features, "attention": row.mean(1, keepdim=True).unflatten(2, (side, side))}


def bare_forwards(arch, x, rounds, quick):
    """Milliseconds per view of each way to run timm's model."""
    out, views = {}, len(x)

    def measured(name, forward):
        out[name] = min(out.get(name, float("inf")), best(forward, rounds, views))

    def each_way(name, wrapped):
        model = timm.create_model(arch).eval()
        fp32, autocast = wrapped(model), wrapped(model)
        measured(name + "_fp32", lambda: fp32(x))

        def under_autocast():
            with torch.autocast("cpu", torch.bfloat16):
                return autocast(x)
        measured(name, under_autocast)
        low, narrow = wrapped(timm.create_model(arch).eval().to(torch.bfloat16)), x.to(torch.bfloat16)
        measured(name, lambda: low(narrow))

    each_way("eager", lambda model: model)
    try:
        import openvino
    except ImportError:
        openvino = None
    if openvino is not None:
        model = openvino.convert_model(timm.create_model(arch).eval(), example_input=x)
        for name, precision in (("openvino", "bf16"), ("openvino_fp32", "f32")):
            request = openvino.Core().compile_model(model, "CPU", {
                "INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}).create_infer_request()
            values = x.numpy()
            measured(name, lambda: request.infer({0: values}, share_inputs=True, share_outputs=True))
    if not quick:
        import torch._inductor.config as inductor
        inductor.freezing = True
        try:
            each_way("compiled", lambda model: torch.compile(model, dynamic=False))
        except Exception as problem:  # no compiler, say: the other ways still count
            print(f"extract_peer.py: inductor: {str(problem).splitlines()[0]}", file=sys.stderr)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arch")
    parser.add_argument("images")
    for name in ("views", "batch", "rounds"):
        parser.add_argument(name, type=int)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    a = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = timm.create_model(a.arch).eval()
    size = model.default_cfg["input_size"][1]
    decode = Decoder(pictures(a.images, a.views), size)
    batches = range(0, a.views, a.batch)
    with torch.inference_mode():
        out = bare_forwards(a.arch, torch.randn(a.batch, 3, size, size), a.rounds, a.quick)
        teacher = Tapped(model)

        def forward(x):
            with torch.autocast("cpu", torch.bfloat16):
                return teacher(x)

        def write(outputs):
            for name in outputs[0]:
                np.save(a.out / f"{name}.npy", torch.cat([part[name] for part in outputs]).half().numpy())

        def compress(outputs):
            joined = {name: torch.cat([part[name] for part in outputs]) for name in outputs[0]}
            scale = joined["features"].abs().amax((2, 3), keepdim=True).clamp_min(1e-12) / 127
            arrays = {"logits": joined["logits"].half(), "scale": scale,
                      "features": (joined["features"] / scale).round().to(torch.int8),
                      "attention": (joined["attention"] * 255).round().to(torch.uint8)}
            with h5py.File(a.out / "compressed.h5", "w") as file:
                for name, values in arrays.items():
                    chunk = (min(CHUNK, len(values)), *values.shape[1:])
                    file.create_dataset(name, data=values.numpy(), chunks=chunk, shuffle=True, **hdf5plugin.Zstd(clevel=3))

        parts = [decode(first, a.batch) for first in batches]
        outputs = [forward(part) for part in parts]
        stages = {"decode": lambda: [decode(first, a.batch) for first in batches],
                  "forward": lambda: [forward(part) for part in parts], "write": lambda: write(outputs),
                  "whole": lambda: write([forward(decode(first, a.batch)) for first in batches])}
        try:
            import h5py
            import hdf5plugin
            stages["compress"] = lambda: compress(outputs)
        except ImportError:
            pass
        for name, work in stages.items():
            out[name] = best(work, max(1, a.rounds // 2), a.views)
    sys.stdout.write(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()

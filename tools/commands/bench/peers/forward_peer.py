#!/usr/bin/env python3
"""timm's eager forward of a ViT in BF16, on one thread: the peer of vitrine-bench forward.

    forward_peer.py ARCH VIEWS ROUNDS

Prints JSON: milliseconds of CPU time per view, the best of the rounds, under autocast ("autocast"), with BF16 weights ("bf16_weights") and
in FP32 ("fp32").
"""
import json
import sys
import time

import timm
import torch


def best(forward, x, rounds):
    seconds = []
    for _ in range(rounds + 1):  # the first one warms up
        start = time.thread_time()
        forward(x)
        seconds.append(time.thread_time() - start)
    return 1e3 * min(seconds[1:]) / len(x)


def main():
    arch, views, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    model = timm.create_model(arch).eval()
    size = model.default_cfg["input_size"][1]
    x = torch.randn(views, 3, size, size)

    def under_autocast(x):
        with torch.autocast("cpu", torch.bfloat16):
            return model(x)

    with torch.inference_mode():
        out = {"fp32": best(model, x, rounds), "autocast": best(under_autocast, x, rounds)}
        model.to(torch.bfloat16)
        out["bf16_weights"] = best(model, x.to(torch.bfloat16), rounds)
    print(json.dumps(out))


main()

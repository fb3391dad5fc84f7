#!/usr/bin/env python3
"""Baseline for vitrine-bench codec: the size of features under a transform codec without context modelling, coded by Zstandard.

    baseline_codec.py FEATURES.npy [--error 0.01] [--only VARIANT]      FEATURES: float [views, C, H, W]

The first half of the views gives mean, basis and variances; the second half is coded as a whole. Each variant's uniform step is the one at
which the squared error is `error` of the energy about the channels' means. Coefficients are cut into bands of 16 channels' worth of
like variance; a band is stored as Zstandard level 1 makes it smallest: as bytes, or as bit planes (is |k| > t, among those beyond t - 1;
then what is left, and the signs), each plane in its own frame. Prints JSON: bytes per view of each variant.
"""
import argparse
import json

import numpy as np
import zstandard

COMPRESSOR = zstandard.ZstdCompressor(level=1)


def frame(data):
    data = np.ascontiguousarray(data).tobytes()
    return min(len(COMPRESSOR.compress(data)), len(data) + 9) if data else 0


def as_bytes(k):
    return frame(k.astype(np.int8 if np.abs(k).max(initial=0) <= 127 else np.int16))


def as_planes(k, count):
    size = frame(np.packbits(k[k != 0] < 0))
    left = np.abs(k)
    for t in range(count):
        size += frame(np.packbits(left > t))
        left = left[left > t]
    left = left - count
    return size + frame(left.astype(np.uint8 if left.max(initial=0) < 256 else np.uint16))


def cosine_basis(n):
    basis = np.array([[np.cos(np.pi * (2 * x + 1) * f / (2 * n)) for x in range(n)] for f in range(n)])
    return basis / np.linalg.norm(basis, axis=1, keepdims=True)


def quantise(y, step, dead):
    return (np.sign(y) * np.floor(np.abs(y) / step + 1 - dead)).astype(np.int64)


def largest_step(y, dead, bound):
    """By bisection of the logarithm: the error grows with the step."""
    low, high = np.log(1e-5), np.log(1e3)
    for _ in range(36):
        step = np.exp((low + high) / 2)
        if np.square(y - step * quantise(y, step, dead)).mean() <= bound:
            low = np.log(step)
        else:
            high = np.log(step)
    return np.exp(low)


def coded_bytes(first, second, dead, bound, cosine, channels_a_band=16):
    k = quantise(second, largest_step(second, dead, bound), dead)
    views, channels = k.shape[:2]
    if cosine:  # a band: coefficients (channel, frequency) of like variance
        variance, columns = first.reshape(len(first), -1).var(0), k.reshape(views, -1)
        width = channels_a_band * k[0, 0].size
    else:
        variance, columns = first.var((0, 2, 3)), np.moveaxis(k, 1, 3).reshape(-1, channels)
        width = channels_a_band
    order = np.argsort(-variance)
    bands = [columns[:, order[i:i + width]].T.ravel() for i in range(0, len(order), width)]
    return sum(min(as_bytes(b), as_planes(b, 2), as_planes(b, 4)) for b in bands) / views


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features")
    parser.add_argument("--error", type=float, default=0.01)
    parser.add_argument("--only", metavar="VARIANT")
    args = parser.parse_args()
    x = np.load(args.features).astype(np.float64)
    half = len(x) // 2
    by_channel = x[:half].mean((0, 2, 3), keepdims=True)
    bound = args.error * np.square(x[half:] - by_channel).mean()
    centred = x - x[:half].mean(0)
    tokens = np.moveaxis(centred[:half], 1, 3).reshape(-1, x.shape[1])
    vectors = np.linalg.eigh(tokens.T @ tokens)[1][:, ::-1]

    def turned(y):
        return np.moveaxis(np.moveaxis(y, 1, 3) @ vectors, 3, 1)

    rows, columns = cosine_basis(x.shape[2]), cosine_basis(x.shape[3])
    best = turned(centred)
    frequencies = rows @ best @ columns.T
    flat = x - by_channel
    variants = {  # features or coefficients, dead zone, whether over positions as well
        "no transform": (flat, 0.5, False),
        "channel mean, KLT": (turned(flat), 0.5, False),
        "position mean, KLT": (best, 0.5, False),
        "position mean, KLT, dead zone": (best, 0.62, False),
        "position mean, KLT, DCT": (frequencies, 0.5, True),
        "position mean, KLT, DCT, dead zone": (frequencies, 0.62, True),
    }
    out = {}
    for name, (y, dead, over_positions) in variants.items():
        if args.only in (None, name):
            out[name] = coded_bytes(y[:half], y[half:], dead, bound, over_positions)
    print(json.dumps(out))


if __name__ == "__main__":
    main()

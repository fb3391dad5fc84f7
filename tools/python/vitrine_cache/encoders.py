"""Encoding a group of targets (FORMAT.md, 'Encodings'), with the C++ encoder's values: `encode(track, values)` gives the arrays
of a shard, by name, that encodings.py decodes. ValueError names a view whose value cannot be stored.

>>> from types import SimpleNamespace
>>> track = SimpleNamespace(encoding="int8", shape=(2,), codec={})
>>> encode(track, np.array([[0.5, -1.0]], np.float32))["q"].tolist()
[[64, -127]]
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import zstandard

from .encodings import Arrays, Uniform

if TYPE_CHECKING:
    from .track import Track

LARGEST_STEPS, LARGEST_SHIFT, ALMOST_ONE = 1 << 30, 24, np.float32(1.001)


def encode(track: Track, values: np.ndarray) -> Arrays:
    """`values`: float32 [views, shape...]."""
    strange = ~np.isfinite(values.reshape(len(values), -1)).all(1)
    if strange.any():
        raise ValueError(f"view {strange.argmax()} has a value that is not finite; check the model, or run it in a precision with "
                         "a larger range")
    return ENCODERS[track.encoding](track, values)


def _refuse(values: np.ndarray, wrong: np.ndarray, what: str) -> None:
    """ValueError for the first value where `wrong`."""
    if wrong.any():
        place = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise ValueError(f"view {place[0]} has the value {values[place]:g}, {what}")


def _fp32(track: Track, values: np.ndarray) -> Arrays:
    return {"values": values.astype("<f4")}


def _fp16(track: Track, values: np.ndarray) -> Arrays:
    with np.errstate(over="ignore"):
        halves = values.astype("<f2")
    _refuse(values, np.isinf(halves), "beyond the range of fp16 (65504); store this target as fp32 or int8")
    return {"values": halves}


def _int8(track: Track, values: np.ndarray) -> Arrays:
    rows = values.reshape(len(values), track.shape[0] if len(track.shape) > 1 else 1, -1)
    scale = np.abs(rows).max(2) / np.float32(127)
    with np.errstate(over="ignore"):
        scale = np.where(np.isinf(scale * np.float32(127)), np.nextafter(scale, np.float32(0)), scale)
    q = np.zeros(rows.shape, np.float32)
    np.divide(rows, scale[:, :, None], out=q, where=scale[:, :, None] != 0)
    return {"q": np.clip(np.rint(q), -127, 127).astype(np.int8).reshape(values.shape),
            "scale": scale.astype("<f4").reshape(scale.shape if len(track.shape) > 1 else -1)}


def _sqrt8(track: Track, values: np.ndarray) -> Arrays:
    _refuse(values, (values < 0) | (values > ALMOST_ONE), "but sqrt8 stores probabilities from 0 to 1; choose another encoding")
    return {"q": np.rint(np.float32(255) * np.sqrt(np.minimum(values, np.float32(1)))).astype(np.uint8)}


def _steps(values: np.ndarray, step: float, limit: int) -> np.ndarray:
    """Multiples of `step`, int64."""
    q = np.rint(values.astype(np.float64) / step)
    _refuse(values, np.abs(q) >= limit, f"too large for a step of {step:g}; allow a larger error, or store this target as fp32")
    return q.astype(np.int64)


def _uniform(track: Track, values: np.ndarray) -> Arrays:
    q = _steps(values.reshape(len(values), -1), 2 * track.codec["max_error"], LARGEST_STEPS)
    sums = q.sum(0)
    means = np.where(sums < 0, -1, 1) * np.floor(np.abs(sums) / len(q) + 0.5).astype(np.int64)  # halves away from zero
    # If the high part spans about 4 to 16 values, Huffman coding is near the entropy.
    around = int(np.abs(q - means).sum() // q.size).bit_length() - 3
    shifts = [0, *(min(shift, LARGEST_SHIFT) for shift in range(around - 1, around + 2) if shift > 0)]
    trials = [_split(q, means, shift, with_mean) for shift in shifts for with_mean in (True, False)]
    compressor = zstandard.ZstdCompressor(level=1)
    return min(trials, key=lambda trial: len(compressor.compress(trial["high"].tobytes())) + len(trial["low"]))


def _split(q: np.ndarray, means: np.ndarray, shift: int, with_mean: bool) -> Arrays:
    """The shift lowest bits of each number, and the rest in byte planes."""
    h = q >> shift
    if with_mean:
        h = np.concatenate([(means >> shift)[None], h - (means >> shift)])
    z = (h << 1 ^ h >> 63).reshape(-1)  # 0, -1, 1, -2, ... as 0, 1, 2, 3, ...
    width = max(1, -(-int(z.max()).bit_length() // 8))
    head = np.array([(shift, width, with_mean, 0, len(q))], Uniform.HEADER).view(np.uint8)
    bits = (q.reshape(-1, 1) >> np.arange(shift) & 1).astype(np.uint8)
    return {"low": np.concatenate([head, np.packbits(bits, bitorder="little")]),
            "high": np.concatenate([(z >> 8 * plane & 255).astype(np.uint8) for plane in range(width)])}


def _topk(track: Track, values: np.ndarray) -> Arrays:
    kept = track.codec["kept"]
    order = np.argsort(-values, axis=1, kind="stable")  # of equal ones the lower class first
    index = order[:, :kept]
    largest, others = np.take_along_axis(values, index, 1), np.take_along_axis(values, np.sort(order[:, kept:], 1), 1)
    error = track.codec.get("max_error", 0)
    value = _steps(largest, 2 * error, 32768).astype("<i2") if error else _fp16(track, largest)["values"]
    tails = []
    for temperature in track.codec["temperatures"]:
        top = others.max(1, keepdims=True).astype(np.float64)
        tails.append(top[:, 0] / temperature + np.log(np.exp((others - top) / temperature).sum(1)))
    layout = {array.name: array.dtype for array in track.layout}
    return {"value": value, "index": index.astype(layout["index"]), "tail": np.stack(tails, 1).astype("<f4")}


def _transform(track: Track, values: np.ndarray) -> Arrays:
    return {"payload": track.basis.encoder.encode(values, track.codec["max_error"])}


ENCODERS: dict[str, Callable[[Track, np.ndarray], Arrays]] = {
    "fp32": _fp32, "fp16": _fp16, "int8": _int8, "sqrt8": _sqrt8, "uniform": _uniform, "topk": _topk, "transform": _transform}


def measure(track: Track, raw: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
    """What the encoding lost in one group; a shard's `loss` is made of these by summarise()."""
    raw, decoded = (x.astype(np.float64).reshape(len(raw), *track.shape) for x in (raw, decoded))
    if track.kind == "logits":
        one, four = (_kl(raw, decoded, temperature) for temperature in (1, 4))
        agreeing = (raw.argmax(1) == decoded.argmax(1)).sum()
        return {"views": len(raw), "kl_1": one.sum(), "worst_kl_1": one.max(), "kl_4": four.sum(), "worst_kl_4": four.max(),
                "agreeing": float(agreeing)}
    if track.kind == "attention":
        variation = np.abs(decoded - raw).sum((2, 3)) / 2
        return {"heads": variation.size, "variation": variation.sum(), "worst_total_variation": variation.max()}
    axes = (0, *range(2, raw.ndim))
    mean = track.basis.mean.astype(np.float64) if track.encoding == "transform" else raw.mean(axes, keepdims=True)
    tokens, energy = ((decoded - raw)**2).sum(1), ((raw - mean)**2).sum()
    worst = (tokens.sum() / energy, tokens.max() / (energy / tokens.size)) if energy > 0 else (0.0, 0.0)
    return {"error": tokens.sum(), "energy": energy, "worst_group": worst[0], "worst_token": worst[1]}


def _kl(raw: np.ndarray, decoded: np.ndarray, temperature: float) -> np.ndarray:
    """KL(softmax(raw / t) || softmax(decoded / t)) of each view."""
    p, q = (x / temperature - _log_sum_exp(x / temperature) for x in (raw, decoded))
    return np.maximum((np.exp(p) * (p - q)).sum(1), 0)


def _log_sum_exp(x: np.ndarray) -> np.ndarray:
    top = x.max(1, keepdims=True)
    return top + np.log(np.exp(x - top).sum(1, keepdims=True))


def summarise(track: Track, groups: list[dict[str, float]]) -> dict[str, float | str]:
    """A shard's `loss` (FORMAT.md), with six digits."""
    total = {key: (max if key.startswith("worst") else math.fsum)([group[key] for group in groups]) for key in groups[0]}
    found: dict[str, float | str] = {}
    if track.kind == "logits":
        views = total["views"]
        found = {"kl_1": total["kl_1"] / views, "worst_kl_1": total["worst_kl_1"], "kl_4": total["kl_4"] / views,
                 "worst_kl_4": total["worst_kl_4"], "agreement": total["agreeing"] / views}
    elif track.kind == "attention":
        found = {"total_variation": total["variation"] / total["heads"], "worst_total_variation": total["worst_total_variation"]}
    else:
        found = {"centred_by": "basis" if track.encoding == "transform" else "channel means of the group",
                 "relative_error": total["error"] / total["energy"] if total["energy"] > 0 else 0.0,
                 "worst_group": total["worst_group"], "worst_token": total["worst_token"]}
    return {key: value if isinstance(value, str) else float(f"{value:.6g}") for key, value in found.items()}

"""The order in which an epoch visits a cache's groups: that of vitrine-train (common/plan/epoch.h), a pure function of seed
and epoch, so that training can resume in the middle of an epoch and every rank knows its part."""
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

EPOCH_ORDER, PASS_CHOICE = 4, 5  # purposes of streams, as in common/base/philox.h
GOLDEN = 0x9E3779B97F4A7C15
MASK = 2**64 - 1


def philox(key: int, counters: np.ndarray) -> np.ndarray:
    """Philox4x32-10 (Salmon et al. 2011) of many counters, uint32 [n, 4]: uint32 [n, 4].

    >>> [f"{word:08x}" for word in philox(0, np.zeros((1, 4), np.uint32))[0]]  # of Random123's known answers
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counters.astype(np.uint64).T
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = b >> shift ^ c1 ^ np.uint64(k0), b & low, a >> shift ^ c3 ^ np.uint64(k1), a & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], 1).astype(np.uint32)


def _draws(seed: int, purpose: int, major: int, at_once: int) -> Iterator[int]:
    """64-bit numbers of one stream, without end; `at_once` are made together."""
    key, first = (seed ^ purpose * GOLDEN) & MASK, 0
    blocks = max(1, -(-at_once // 2))
    while True:
        counters = np.zeros((blocks, 4), np.uint32)
        counters[:, 0] = np.arange(first, first + blocks)
        counters[:, 1] = major
        words = philox(key, counters).reshape(-1, 2).astype(np.uint64)
        yield from (words[:, 0] << np.uint64(32) | words[:, 1]).tolist()
        first += blocks


def shuffled(values: Sequence[int], seed: int, purpose: int, major: int) -> list[int]:
    """A uniformly random permutation (Fisher-Yates)."""
    out, draws = list(values), _draws(seed, purpose, major, len(values))
    for n in range(len(out), 1, -1):
        limit = MASK - (MASK % n + 1) % n
        draw = next(draw for draw in draws if draw <= limit)
        out[n - 1], out[draw % n] = out[draw % n], out[n - 1]
    return out


def epoch_order(seed: int, epoch: int, groups_per_pass: int, passes: Sequence[int], rank: int = 0, world_size: int = 1,
                shuffle: bool = True) -> tuple[int, list[int]]:
    """The pass of an epoch, and the groups of one rank in their order: ceil(groups_per_pass / world_size) for every rank.
    Epochs take the passes in turn, in an order redrawn for each round. If the ranks do not divide a pass evenly, the last
    step begins the pass again. Without `shuffle` passes and groups come in ascending order.

    >>> epoch_order(0, 5, 4, [0, 1], shuffle=False)
    (1, [0, 1, 2, 3])
    >>> passes = [epoch_order(seed=7, epoch=e, groups_per_pass=3, passes=[0, 2])[0] for e in range(4)]
    >>> sorted(passes[:2]), sorted(passes[2:])
    ([0, 2], [0, 2])
    """
    cycle, groups = sorted(set(passes)), list(range(groups_per_pass))
    if shuffle:
        cycle = shuffled(cycle, seed, PASS_CHOICE, epoch // len(cycle))
        groups = shuffled(groups, seed, EPOCH_ORDER, epoch)
    mine = range(rank, rank + world_size * -(-groups_per_pass // world_size), world_size)
    return cycle[epoch % len(cycle)], [groups[place % groups_per_pass] for place in mine]

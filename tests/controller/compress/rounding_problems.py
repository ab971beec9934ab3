"""Layers whose rounding is to be chosen, for the tests of learnt rounding."""

from __future__ import annotations

import numpy as np

from steelyard.compress.qdq.layer_outputs import Reconstruction

ROW_COUNT = 1024
TRAIN_COUNT = 768
HELD_OUT = slice(TRAIN_COUNT, None)


def problem(
    groups: int, products: int, count: int, *, low: float = -np.inf, rank: int = 0, seed: int = 0
) -> Reconstruction:
    """Return a layer of 4-bit weights whose inputs have ``rank`` dimensions (0: all), so that errors can cancel."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((groups, products, count))
    rows = rng.standard_normal((groups, ROW_COUNT, rank or products))
    if rank:
        rows = rows @ rng.standard_normal((groups, rank, products)) / np.sqrt(rank)
    scale = np.abs(weight).max(axis=1, keepdims=True) / 7  # 4 bits: rounding shows
    rows32 = rows.astype(np.float32)
    return Reconstruction(
        rows=rows32,
        target=np.matmul(rows32, weight.astype(np.float32)),
        steps=(weight / scale).astype(np.float32),
        scale=scale.astype(np.float32),
        zero_point=np.zeros((groups, 1, count), dtype=np.float32),
        bias=np.zeros((groups, 1, count), dtype=np.float32),
        least=-7,
        most=7,
        low=low,
        high=np.inf,
    )

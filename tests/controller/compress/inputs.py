"""Calibration data for the small models of the tests."""

from __future__ import annotations

import numpy as np

from steelyard.tasks.packing import pack


def packed_samples(count: int = 24, shape: tuple[int, ...] = (1, 12, 12), name: str = "image", seed: int = 0) -> bytes:
    """Return ``count`` drawn float32 samples, packed."""
    rng = np.random.default_rng(seed)
    return pack(name, rng.standard_normal((count, *shape)).astype(np.float32))

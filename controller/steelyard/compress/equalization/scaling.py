"""Equalize the weight ranges of channels (Nagel et al. 2019, "Data-Free Quantization", section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.equalization.groups import ScaleGroup

# Below this share of a layer's largest weight a channel is dead: lifting it would only give it a giant bias.
_DEAD_SHARE = 1e-6
_CONVERGED = 1e-3


def equalize(groups: Sequence[ScaleGroup], *, most_passes: int) -> int:
    """Scale channels, group by group, until no scale moves by 0.1 % any more; return the passes that it took."""
    for number in range(1, most_passes + 1):
        moved = max((_equalize_group(group) for group in groups), default=0.0)
        if moved < _CONVERGED:
            return number
    return most_passes


def weight_noise(group: ScaleGroup) -> float:
    """Return an estimate of the noise that weights with one scale a tensor put into what a group gives, by its signal.

    A weight is off by a share of its tensor's range R, and what channel i gives is of the size r1_i r2_i: the noise is
    R1^2 sum(r2_i^2) + R2^2 sum(r1_i^2), the signal sum(r1_i^2 r2_i^2); the mean over pairs of layers of both sides.
    """
    shares = []
    for given in (layer.output_ranges() for layer in group.producers):
        for taken in (layer.input_ranges(group.channels) for layer in group.consumers):
            noise = given.max() ** 2 * np.square(taken).sum() + taken.max() ** 2 * np.square(given).sum()
            shares.append(noise / max(float(np.square(given * taken).sum()), np.finfo(np.float64).tiny))
    return float(np.mean(shares))


def _equalize_group(group: ScaleGroup) -> float:
    """Scale one group and return the largest change, as a logarithm."""
    scale = _scales(group)
    for layer in group.producers:
        layer.divide_outputs(scale)
    for layer in group.consumers:
        layer.multiply_inputs(scale)
    return float(np.abs(np.log(scale)).max())


def _scales(group: ScaleGroup) -> NDArray[np.float64]:
    """Return sqrt(r1 / r2) a channel, which makes both ranges sqrt(r1 r2); 1 for a channel that is dead on a side."""
    given = np.max([layer.output_ranges() for layer in group.producers], axis=0)
    taken = np.max([layer.input_ranges(group.channels) for layer in group.consumers], axis=0)
    is_alive = (given > _DEAD_SHARE * given.max()) & (taken > _DEAD_SHARE * taken.max())
    found: NDArray[np.float64] = np.sqrt(np.where(is_alive, given, 1.0) / np.where(is_alive, taken, 1.0))
    return found

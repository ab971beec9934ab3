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

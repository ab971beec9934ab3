"""Rounds that follow each other resemble each other: how much less they say than independent ones would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# What is believed of a device before its rounds say more, and how many rounds that belief weighs. The medians of 60
# successive launches of three models, two programs each, had correlations of 0.26 to 0.76 between neighbours; over six
# rounds nobody can tell 0 from 0.5. Found by simulation: docs/decisions/0013-rounds-resemble-each-other.md.
_BELIEVED, _BELIEF_ROUNDS = 0.5, 12
# Beyond this the correction divides by almost nothing; 12 rounds cannot tell such a series from a trend.
_MOST = 0.8


def serial_correlation(parts: Sequence[NDArray[np.float64]]) -> float:
    """Return the correlation of neighbours within the parts, 0 to 0.8, each part [N >= 1] with a mean of its own.

    That of a first-order autoregression: the estimate from the rounds, less its bias of -(1 + 4 rho)/N (Marriott and
    Pope, Biometrika 41 (1954), 390-402), drawn towards what devices showed before by the weight of 12 rounds.
    """
    centred = [part - np.mean(part) for part in parts]
    size = sum(float(np.sum(part * part)) for part in centred)
    count = sum(part.size for part in parts)
    if size == 0.0:
        return 0.0
    seen = sum(float(np.sum(part[1:] * part[:-1])) for part in centred) / size
    seen += (1.0 + 4.0 * max(0.0, seen)) * len(parts) / count
    drawn = (count * seen + _BELIEF_ROUNDS * _BELIEVED) / (count + _BELIEF_ROUNDS)
    return min(_MOST, max(0.0, drawn))


def variance_inflation(correlation: float) -> float:
    """Return by how much the variance of a mean grows when neighbours correlate so (first-order autoregression)."""
    return (1.0 + correlation) / (1.0 - correlation)

"""How ranges are chosen from what was seen, and that they are never empty."""

from __future__ import annotations

import math
from dataclasses import dataclass

from steelyard.compress.calibrators.entropy import entropy_range
from steelyard.compress.calibrators.histogram import Histogram
from steelyard.compress.calibrators.percentile import percentile_range
from steelyard.compress.calibrators.squared_error import squared_error_range

MINMAX, MOVING_AVERAGE, ENTROPY, PERCENTILE, SQUARED_ERROR = "minmax", "moving-average", "entropy", "percentile", "mse"
METHODS = (MINMAX, MOVING_AVERAGE, ENTROPY, PERCENTILE, SQUARED_ERROR)
# float32 holds less precisely below 1.2e-38; a step of 1/65,535 of this width is still a normal number.
_LEAST_WIDTH = 1e-30
# Scales of a bias are products of two scales: beyond this they leave float32. Attention masks stand at -3.4e38.
LARGEST_MAGNITUDE = 1e30
# What a new batch counts for in the moving average, as onnxruntime has it.
AVERAGING_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeSettings:
    """The method of choosing and the grid: ``levels`` values (256 for 8 bits), around zero where ``symmetric``."""

    method: str = MINMAX
    percentile: float = 99.999
    levels: int = 256
    symmetric: bool = False

    @property
    def needs_histogram(self) -> bool:
        """Whether a second pass counts the values."""
        return self.method in {ENTROPY, PERCENTILE, SQUARED_ERROR}


def choose_range(histogram: Histogram, settings: RangeSettings) -> tuple[float, float]:
    """Return the range that the method chooses."""
    if settings.method == PERCENTILE:
        return percentile_range(histogram, settings.percentile)
    if settings.method == ENTROPY:
        # A grid with both signs has half of its levels for magnitudes.
        levels = settings.levels // 2 if settings.symmetric or histogram.low < 0 else settings.levels
        return entropy_range(histogram, levels=min(levels, histogram.counts.size // 4))
    if settings.method == SQUARED_ERROR:
        return squared_error_range(histogram, levels=settings.levels, symmetric=settings.symmetric)
    return histogram.smallest, histogram.largest


def usable_range(low: float, high: float) -> tuple[float, float]:
    """Return the range with zero in it, and (0, 1) for one without a width: a constant zero, or denormal numbers."""
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high - low >= _LEAST_WIDTH else (0.0, 1.0)


def is_usable(low: float, high: float) -> bool:
    """Return whether extremes can be quantized at all: finite, and not the constants that attention masks hold."""
    return math.isfinite(low) and math.isfinite(high) and max(abs(low), abs(high)) < LARGEST_MAGNITUDE

"""The ranges that activations take on calibration data, in bounded memory.

A batch at a time runs through LiteRT's own kernels, with every tensor kept. "minmax" and "moving-average" (of the
extremes of batches) need one pass; "percentile" and "mse" go over the data twice: the second pass counts values in bins
between the extremes that the first one found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.calibrators.range_settings import AVERAGING_SHARE, MINMAX, MOVING_AVERAGE, PERCENTILE
from steelyard.compress.calibrators.range_settings import SQUARED_ERROR as MSE
from steelyard.compress.contract import Progress
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tflite.graph import FLOAT32_TYPE, Graph
from steelyard.compress.tflite.sessions import TfliteSession, batch_size, check_calibration, open_observed
from steelyard.compress.tools import tool_errors

METHODS = (MINMAX, MOVING_AVERAGE, PERCENTILE, MSE)
BIN_COUNT = 2048
# Attention masks are made of the largest numbers there are; they say nothing of the range of scores.
_MASK_MAGNITUDE = 3e38
# How much of the range "mse" tries to keep; a single outlier may stretch it to fifty times of what is worth keeping.
_KEPT_SHARES = np.linspace(0.02, 1.0, 99)

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeRule:
    """How ranges are chosen: ``percentile`` is of "percentile" only, ``bits`` (8 or 16) of "mse" only."""

    method: str = MINMAX
    percentile: float = 100.0
    bits: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRange:
    """The extremes of a tensor over all samples, and the moving average of those of batches."""

    extremes: Range
    average: Range

    @property
    def widths(self) -> tuple[float, float]:
        """How wide the extremes are, and how wide their average is."""
        return self.extremes[1] - self.extremes[0], self.average[1] - self.average[0]


class Activations:
    """What a model's activations are on calibration data; made by one pass over it.

    Raises:
        CompressionInputError: the data does not fit the model, or gives NaN.
        CompressionError: LiteRT could not run the model.
    """

    def __init__(self, path: Path, graph: Graph, data: CalibrationData, progress: Progress) -> None:
        self._session = open_observed(path)
        check_calibration(self._session, data)
        self._graph = graph
        self._data = data
        self._progress = progress
        places = [
            index
            for index, tensor in enumerate(graph.tensors)
            if tensor.type == FLOAT32_TYPE and graph.data(index) is None and graph.name(index)
        ]
        extremes: dict[int, Range] = {}
        averages: dict[int, tuple[float, float, float]] = {}
        for index, values in self._observed(places, "calibrating"):
            found = float(values.min()), float(values.max())
            low, high = extremes.get(index, found)
            extremes[index] = min(low, found[0]), max(high, found[1])
            averages[index] = _averaged(averages.get(index, (0.0, 0.0, 0.0)), found)
        self._seen = {
            index: SeenRange(
                extremes=found,
                average=(averages[index][0] / averages[index][2], averages[index][1] / averages[index][2]),
            )
            for index, found in extremes.items()
        }

    @property
    def seen(self) -> tuple[SeenRange, ...]:
        """What was seen of each tensor."""
        return tuple(self._seen.values())

    def ranges(self, rule: RangeRule) -> dict[str, Range]:
        """Return the lowest and the highest value to represent, by name of tensor.

        Raises:
            CompressionInputError, CompressionError: as the first pass.
        """
        chosen = {
            index: one.average if rule.method == MOVING_AVERAGE else one.extremes for index, one in self._seen.items()
        }
        if rule.method in {PERCENTILE, MSE}:
            counts = {index: np.zeros(BIN_COUNT, np.int64) for index in chosen}
            for index, values in self._observed(list(chosen), "counting values"):
                counts[index] += np.histogram(values, bins=BIN_COUNT, range=_widened(chosen[index]))[0]
            chosen = {index: chosen_range(counts[index], found, rule) for index, found in chosen.items()}
        # Of a tensor that was always zero no range is known; that of one step would leave no room to the next bias.
        idle = [index for index, one in self._seen.items() if one.extremes == (0.0, 0.0)]
        chosen |= {index: _widened((0.0, 0.0)) for index in idle}
        return {self._graph.name(index): found for index, found in chosen.items()}

    def _observed(self, places: list[int], what: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the values of each tensor for each batch; a last partial batch is filled from before it."""
        size = self._data.batch(batch_size(self._session))
        starts = range(0, self._data.sample_count, size)
        for done, start in enumerate(starts, start=1):
            stop = min(start + size, self._data.sample_count)
            with tool_errors("running the model for calibration"):
                self._session.bind(self._data.feed(stop - size, stop))
                self._session.interpreter.invoke()
            for index in places:
                values = _tensor(self._session, index)
                if values is not None:
                    yield index, _finite(values, self._graph.name(index), start)
            self._progress(what, done, len(starts))


def _averaged(before: tuple[float, float, float], found: Range) -> tuple[float, float, float]:
    """Return the moving averages of the ends, and what all batches together weigh, with one more batch."""
    low, high, weight = (one * (1.0 - AVERAGING_SHARE) for one in before)
    return low + AVERAGING_SHARE * found[0], high + AVERAGING_SHARE * found[1], weight + AVERAGING_SHARE


def chosen_range(counts: NDArray[np.int64], extremes: Range, rule: RangeRule) -> Range:
    """Return the part of a histogram's range to represent.

    Args:
        counts: how many values fell into each of equal bins between the extremes.
        extremes: the lowest and the highest value.
        rule: "percentile" cuts half of what is beyond it at either end; "mse" shrinks the range as far as the squared
            error of rounding and clipping together falls (as in Banner et al., 2019, by search over the histogram).
    """
    low, high = _widened(extremes)
    if rule.method == PERCENTILE:
        return _percentile_range(counts, low, high, rule.percentile)
    centres = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    errors = [_squared_error(centres, counts, low * share, high * share, rule.bits) for share in _KEPT_SHARES]
    share = float(_KEPT_SHARES[int(np.argmin(errors))])
    return low * share, high * share


def _percentile_range(counts: NDArray[np.int64], low: float, high: float, percentile: float) -> Range:
    tail = (100.0 - percentile) / 200.0
    reached = np.cumsum(counts) / counts.sum()
    edges = np.linspace(low, high, len(counts) + 1)
    first = int(np.searchsorted(reached, tail, side="right")) if tail else 0
    last = min(int(np.searchsorted(reached, 1.0 - tail)), len(counts) - 1)
    return float(edges[min(first, last)]), float(edges[last + 1])


def _squared_error(
    centres: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float, bits: int
) -> float:
    bottom, top = min(low, 0.0), max(high, 0.0)
    step = (top - bottom) / (2**bits - 1)
    represented = np.clip(np.round((centres - bottom) / step), 0, 2**bits - 1) * step + bottom
    return float((counts * (centres - represented) ** 2).sum())


def _widened(extremes: Range) -> Range:
    # A tensor that is constant has a range all the same.
    low, high = extremes
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _tensor(session: TfliteSession, index: int) -> NDArray[Any] | None:
    try:
        values: NDArray[Any] = session.interpreter.get_tensor(index)
    except ValueError:  # a tensor that nothing makes has no values
        return None
    return values if values.size else None


def _finite(values: NDArray[Any], name: str, sample: int) -> NDArray[Any]:
    """Return the values that say something of a range, all zero when none does."""
    if np.isnan(values).any():
        raise CompressionInputError(
            "not_finite",
            f"the model gives NaN in its tensor {name!r} for the calibration data from sample {sample} on; look for "
            "NaN in the data, or repair the model first",
        )
    flat = values.reshape(-1)
    kept = flat[np.abs(flat) < _MASK_MAGNITUDE]
    return kept if kept.size else np.zeros(1, np.float32)

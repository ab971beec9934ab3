"""Compare the outputs of models over calibration samples, a batch at a time; formats differ by their runners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.qdq.running import feeds

# Above 0 where two models agree exactly: an SQNR of at most 200 dB.
_LEAST_SHARE = 1e-20
# What lies beyond is no better to a user, and would outweigh in a mean.
_MOST_MEANT_DB = 60.0
_MOST_KEPT_BYTES = 64 * 1024 * 1024


class Runs(Protocol):
    """A model that is ready to run."""

    @property
    def batch_size(self) -> int:
        """The samples that it takes at once; 1 where it takes any number."""
        ...

    def run(self, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs for a feed, in their order."""
        ...


class Reference:
    """What a model is compared with: its outputs over the samples, kept where they are small, else made anew."""

    def __init__(self, runner: Runs, data: CalibrationData, sample_count: int) -> None:
        self._runner = runner
        self._data = data
        self._sample_count = sample_count
        self._kept: list[list[NDArray[Any]]] | None = None

    @property
    def batch_size(self) -> int:
        """The samples that the models take at once."""
        return self._runner.batch_size

    def sqnr_db(self, model: Runs) -> float:
        """Return the signal-to-quantization-noise ratio of another model's outputs over the samples; see ``Noise``."""
        noise = Noise()
        for expected, feed in self._batches():
            noise.add(expected, model.run(feed))
        return noise.sqnr_db()

    def mean_sqnr_db(self, model: Runs) -> float:
        """Return the mean over the batches of the ratio of each, from 0 to 60 dB.

        One sample with outputs far beyond all others decides what ``sqnr_db`` says, and counts as one here.
        """
        return float(np.mean([self._bounded_sqnr_db(model, *batch) for batch in self._batches()]))

    @staticmethod
    def _bounded_sqnr_db(model: Runs, expected: list[NDArray[Any]], feed: dict[str, NDArray[Any]]) -> float:
        noise = Noise()
        noise.add(expected, model.run(feed))
        return min(max(noise.sqnr_db(), 0.0), _MOST_MEANT_DB)

    def _batches(self) -> Iterator[tuple[list[NDArray[Any]], dict[str, NDArray[Any]]]]:
        found: list[list[NDArray[Any]]] = []
        byte_count = 0
        for number, feed in enumerate(feeds(self._data, self._runner.batch_size, self._sample_count)):
            expected = self._runner.run(feed) if self._kept is None else self._kept[number]
            byte_count += sum(values.nbytes for values in expected)
            if self._kept is None and byte_count <= _MOST_KEPT_BYTES:
                found.append(expected)
            yield expected, feed
        if self._kept is None and byte_count <= _MOST_KEPT_BYTES:
            self._kept = found


class Noise:
    """The error of a model's outputs as a share of what is expected, each output by itself, so that none outweighs.

    Of an output of floats the share is the error's energy over the output's; of any other the share of its elements
    that differ. An output of another shape, or one that is not finite, is all error.
    """

    def __init__(self) -> None:
        self._sums: dict[int, tuple[float, float]] = {}

    def add(self, expected: Sequence[NDArray[Any]], given: Sequence[NDArray[Any]]) -> None:
        """Add the outputs of one batch."""
        for index, (exact, value) in enumerate(zip(expected, given, strict=True)):
            signal, noise = self._sums.get(index, (0.0, 0.0))
            more_signal, more_noise = _energies(exact, value)
            self._sums[index] = (signal + more_signal, noise + more_noise)

    def sqnr_db(self) -> float:
        """Return the ratio in dB by the mean share over the outputs, from -200 to 200."""
        shares = [
            min(noise / signal, 1 / _LEAST_SHARE) if signal > 0 else float(noise > 0)
            for signal, noise in self._sums.values()
        ]
        share = float(np.mean(shares)) if shares else 0.0
        return -10.0 * float(np.log10(max(share, _LEAST_SHARE)))


def _energies(exact: NDArray[Any], value: NDArray[Any]) -> tuple[float, float]:
    """Return the energy of an output and of the error in it."""
    if exact.dtype.kind != "f":
        return float(exact.size), float(np.count_nonzero(exact != value)) if exact.shape == value.shape else exact.size
    signal = float(np.square(exact, dtype=np.float64).sum())
    if exact.shape != value.shape:
        return signal, signal
    noise = float(np.square(exact.astype(np.float64) - value).sum())
    return (signal, noise) if np.isfinite(noise) else (signal, np.inf)

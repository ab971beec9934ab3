"""Errors of a regression: mean absolute error, root mean square error, coefficient of determination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import TARGETS
from steelyard.tasks.metrics.outputs import described, finite_output, one_row_a_sample, truth_array
from steelyard.tasks.metrics.weights import MeanAnswers, sample_counts
from steelyard.tasks.metrics.whole_output import WholeOutput


class _AgainstTargets(WholeOutput):
    """Errors in the unit of the targets; ``output`` is the output that they belong to, "" the first."""

    unit: ClassVar[str] = ""
    truth_arrays: ClassVar[tuple[str, ...]] = (TARGETS,)
    needs_parent_outputs: ClassVar[bool] = False

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanAbsoluteError(_AgainstTargets):
    """The mean of |output - target| over all values of a sample and all samples, in the unit of the targets."""

    kind: ClassVar[str] = "mae"
    label: ClassVar[str] = "mean absolute error"
    higher_is_better: ClassVar[bool] = False

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> MeanAnswers:
        """Return the mean error of each sample; ``outputs`` holds floats of the targets' shape.

        Raises:
            TaskError: outputs that do not fit the targets, NaN.
        """
        targets, values = _targets_and_values(truth, outputs, self.output)
        return MeanAnswers(values=np.abs(values - targets).mean(axis=1), is_squared=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootMeanSquareError(_AgainstTargets):
    """The root of the mean of (output - target)² over all values and samples, in the unit of the targets."""

    kind: ClassVar[str] = "rmse"
    label: ClassVar[str] = "root mean square error"
    higher_is_better: ClassVar[bool] = False

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> MeanAnswers:
        """Return the mean square error of each sample; ``outputs`` holds floats of the targets' shape.

        Raises:
            TaskError: outputs that do not fit the targets, NaN.
        """
        targets, values = _targets_and_values(truth, outputs, self.output)
        return MeanAnswers(values=np.square(values - targets).mean(axis=1), is_squared=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class R2(_AgainstTargets):
    """The coefficient of determination 1 - SS(residuals) / SS(targets about their mean).

    Of samples with several values it is the mean over the values' own. A value whose target is the same in every
    sample has none, and then the metric has none.
    """

    kind: ClassVar[str] = "r2"
    label: ClassVar[str] = "coefficient of determination"
    higher_is_better: ClassVar[bool] = True

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> R2Answers:
        """Set outputs against targets; ``outputs`` holds floats of the targets' shape.

        Raises:
            TaskError: outputs that do not fit the targets, NaN.
        """
        targets, values = _targets_and_values(truth, outputs, self.output)
        return R2Answers(targets=targets, square_errors=np.square(values - targets))

    def undefined_reason(self, truth: Mapping[str, NDArray[Any]]) -> str | None:
        """Return why no answers to these targets have a value: one of them never varies."""
        targets = one_row_a_sample(truth_array(truth, TARGETS, dtypes="fiu"))
        if np.any(np.all(targets == targets[:1], axis=0)):
            return (
                "a target has the same value in every sample, so that r2 has none; use rmse, or leave that target out"
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class R2Answers:
    """Targets and squared errors, float64 [N, D] each."""

    targets: NDArray[np.float64]
    square_errors: NDArray[np.float64]

    @property
    def sample_count(self) -> int:
        """How many samples were answered."""
        return int(self.targets.shape[0])

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the mean of the coefficients; None when a target does not vary."""
        weights = sample_counts(counts, self.sample_count).astype(np.float64)
        total = float(weights.sum())
        if total == 0:
            return None
        centred = self.targets - weights @ self.targets / total
        variation = weights @ np.square(centred)
        # What rounding leaves of targets that are all alike.
        rounding = total * np.square(1e-14 * np.abs(self.targets).max(axis=0))
        if np.any(variation <= rounding):
            return None
        return float(np.mean(1.0 - weights @ self.square_errors / variation))


def _targets_and_values(
    truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]], output: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as float64 [N, D]."""
    stored = truth_array(truth, TARGETS, dtypes="fiu")
    if stored.ndim == 0 or stored.size == 0:
        raise TaskError("invalid_truth", f"the task's targets are {described(stored)}; store one row a sample")
    name, array = finite_output(outputs, output, stored.shape[0])
    if _without_ones(array.shape[1:]) != _without_ones(stored.shape[1:]):
        raise TaskError(
            "invalid_outputs",
            f"output {name!r} has the shape {list(array.shape)} and the targets have {list(stored.shape)}; name the "
            "output that the targets belong to (output = ...)",
        )
    return one_row_a_sample(stored), one_row_a_sample(array)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)

"""How near a variant's outputs are to its parent's: metrics for tasks without labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.outputs import finite_output, one_row_a_sample
from steelyard.tasks.metrics.weights import MeanAnswers
from steelyard.tasks.metrics.whole_output import WholeOutput

# Equal outputs have no noise. Rounding of float32 alone is at about 150 dB, so that 200 dB says "equal".
HIGHEST_SQNR_DB = 200.0


class _AgainstParent(WholeOutput):
    """How near a variant comes to its parent; ``output`` names one output, "" takes the mean over all floating ones."""

    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = ()
    needs_parent_outputs: ClassVar[bool] = True

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine(_AgainstParent):
    """The cosine of the angle between a variant's and its parent's outputs, the mean over samples.

    ``output`` names one output; "" takes the mean over all floating-point outputs. Two outputs of zeros have the cosine
    1, zeros and anything else 0.
    """

    kind: ClassVar[str] = "cosine"
    label: ClassVar[str] = "cosine to the original's outputs"
    unit: ClassVar[str] = "fraction"

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> MeanAnswers:
        """Return the cosine of each sample; ``truth`` holds the parent's outputs, by their names.

        Raises:
            TaskError: outputs that do not pair up, NaN.
        """
        figures = [_cosines(parent, variant) for parent, variant in _pairs(truth, outputs, self.output)]
        return MeanAnswers(values=np.mean(figures, axis=0), is_squared=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqnr(_AgainstParent):
    """The signal to quantization noise ratio, 10 log10(sum(parent²) / sum((parent - variant)²)), the mean over samples.

    ``output`` names one output; "" takes the mean over all floating-point outputs. Each sample's ratio is held between
    -200 and 200 dB: equal outputs, whose ratio has no bound, count 200 dB.
    """

    kind: ClassVar[str] = "sqnr"
    label: ClassVar[str] = "signal to quantization noise ratio"
    unit: ClassVar[str] = "dB"

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> MeanAnswers:
        """Return the ratio of each sample in dB; ``truth`` holds the parent's outputs, by their names.

        Raises:
            TaskError: outputs that do not pair up, NaN.
        """
        figures = [_ratios_db(parent, variant) for parent, variant in _pairs(truth, outputs, self.output)]
        return MeanAnswers(values=np.mean(figures, axis=0), is_squared=False)


def _pairs(
    parents: Mapping[str, NDArray[Any]], variants: Mapping[str, NDArray[Any]], output: str
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield each pair of outputs as float64 [N, D]; two models of one output each pair up whatever its name."""
    names = [output] if output else [name for name, array in parents.items() if array.dtype.kind == "f"]
    if not names:
        listed = ", ".join(f"{name} {array.dtype}" for name, array in parents.items()) or "nothing"
        raise TaskError(
            "invalid_outputs", f"the original has no floating-point output, only {listed}; use a metric with labels"
        )
    first = parents.get(names[0])
    sample_count = first.shape[0] if first is not None and first.ndim else 0
    renamed = len(parents) == len(variants) == 1
    for name in names:
        _, parent = finite_output(parents, name, sample_count)
        _, variant = finite_output(variants, "" if renamed else name, sample_count)
        if parent.shape != variant.shape or parent.size == 0:
            raise TaskError(
                "invalid_outputs",
                f"output {name!r} has the shape {list(variant.shape)} and the original's has {list(parent.shape)}; "
                "compare variants of one model",
            )
        yield one_row_a_sample(parent), one_row_a_sample(variant)


def _cosines(parent: NDArray[np.float64], variant: NDArray[np.float64]) -> NDArray[np.float64]:
    parent_unit, parent_is_zero = _of_unit_length(parent)
    variant_unit, variant_is_zero = _of_unit_length(variant)
    cosines = np.clip(np.sum(parent_unit * variant_unit, axis=1), -1.0, 1.0)
    return np.where(parent_is_zero & variant_is_zero, 1.0, cosines)


def _of_unit_length(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return each row over its length, and which are zeros; scaled first, so that no square vanishes."""
    highest = np.abs(rows).max(axis=1, keepdims=True)
    is_zero = highest[:, 0] == 0.0
    scaled = rows / np.where(highest == 0.0, 1.0, highest)
    lengths = np.sqrt(np.sum(np.square(scaled), axis=1, keepdims=True))
    return scaled / np.where(lengths == 0.0, 1.0, lengths), is_zero


def _ratios_db(parent: NDArray[np.float64], variant: NDArray[np.float64]) -> NDArray[np.float64]:
    signal = np.linalg.norm(parent, axis=1)
    noise = np.linalg.norm(parent - variant, axis=1)
    ratios = np.full(signal.shape, HIGHEST_SQNR_DB)
    np.copyto(ratios, -HIGHEST_SQNR_DB, where=(signal == 0.0) & (noise > 0.0))
    has_both = (signal > 0.0) & (noise > 0.0)
    ratios[has_both] = 20.0 * (np.log10(signal[has_both]) - np.log10(noise[has_both]))
    return np.clip(ratios, -HIGHEST_SQNR_DB, HIGHEST_SQNR_DB)

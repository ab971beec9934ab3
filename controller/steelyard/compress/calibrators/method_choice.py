"""Which calibration method a model gets where the recipe names none: the extremes, unless a few samples stretch them.

One flat picture gave a face detector logits of -30,000 where others give -250 to 2: 8 bits over all of it leave nothing
of the rest, while of most models the extremes are the best that there is. So others are tried only where extremes lie
far beyond those of a usual sample, and what the outputs say on the calibration data decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from steelyard.compress.calibrators.range_settings import MINMAX
from steelyard.compress.contract import Progress
from steelyard.compress.noise import Reference, Runs

# Most models have no activation beyond it, a small detector of speech one, a face detector 27, and 46 in TFLite.
_STRETCHED = 4.0
# What another method must gain: it cuts off values that did occur.
_LEAST_GAIN_DB = 1.0
# Samples that methods are compared by.
TRIED_SAMPLE_COUNT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChoice:
    """The method, and why that one; no note where there was no question."""

    method: str
    notes: tuple[str, ...] = ()


def stretched_count(widths: Iterable[tuple[float, float]]) -> int:
    """Return how many of pairs, the width of a range over all samples and over a usual one, are far apart."""
    return sum(width > _STRETCHED * usual for width, usual in widths)


def choose_method(
    methods: Sequence[str],
    quantized: Callable[[str], Runs],
    reference: Reference,
    *,
    stretched: int,
    progress: Progress,
) -> MethodChoice:
    """Return the method whose model gives outputs nearest to the float model's; the extremes where none gains 1 dB.

    Args:
        methods: what is tried, "minmax" among it.
        quantized: makes the model by a method, ready to run.
        reference: the float model.
        stretched: how many activations are stretched, for the note.
        progress: told of each method.

    Raises:
        CompressionInputError, CompressionError: a model cannot be made or run.
    """
    scores = {}
    for number, method in enumerate(methods):
        progress(f"trying ranges by {method}", number, len(methods))
        scores[method] = reference.mean_sqnr_db(quantized(method))
    progress("trying ranges", len(methods), len(methods))
    best = max(scores, key=lambda method: scores[method])
    chosen = best if scores[best] >= scores[MINMAX] + _LEAST_GAIN_DB else MINMAX
    tried = ", ".join(f"{method} {score:.1f} dB" for method, score in scores.items())
    note = (
        f"ranges by {chosen}: a few calibration samples stretch {stretched} activations more than {_STRETCHED:g} "
        f"times; outputs against the float model's, in the mean over samples: {tried}"
    )
    return MethodChoice(method=chosen, notes=(note,))

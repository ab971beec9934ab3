"""The ranges of a model's activations over calibration data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.calibrators.observed import clipped_later, observed_tensors, with_clipped
from steelyard.compress.calibrators.passes import Extremes, observe_extremes, observe_histograms
from steelyard.compress.calibrators.range_settings import (
    MOVING_AVERAGE,
    RangeSettings,
    choose_range,
    is_usable,
    usable_range,
)
from steelyard.compress.contract import Progress

if TYPE_CHECKING:
    from onnx import ModelProto

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one pass over the calibration data saw of the activations that are to be quantized.

    ``extremes`` are those of tensors that can be quantized at all: finite, and within 1e30. ``after`` has the tensors
    that only a Relu or Clip reads, with what that gives, and ``whole`` those that keep all that was seen.
    """

    model: ModelProto
    names: tuple[str, ...]
    after: Mapping[str, str]
    whole: frozenset[str]
    extremes: Mapping[str, Extremes]


def observed_activations(
    folded_path: Path,
    calibration: CalibrationData,
    *,
    op_types: Collection[str],
    progress: Progress,
    excluded: Collection[str] = (),
    whole: Collection[str] = (),
) -> Observed:
    """Return what is seen of every activation that nodes of ``op_types`` touch; memory is that of one batch.

    Args:
        folded_path: a model made by ``steelyard.compress.folding.fold``.
        calibration: the samples; every one is used, in their order.
        op_types: the operators to be quantized.
        progress: told of each batch.
        excluded: names of nodes that stay in float.
        whole: tensors that get all that was seen, whatever the method (16 bits need no clipping).

    Raises:
        CompressionInputError: fewer samples than the model's batch, or a model that does not end.
        CompressionError: the model cannot be run.
    """
    import onnx

    model = onnx.load_model(folded_path)
    names = observed_tensors(model, op_types=op_types, excluded=excluded)
    after = {name: behind for name, behind in clipped_later(model).items() if name in names and behind in names}
    extremes = observe_extremes(model, [name for name in names if name not in after], calibration, progress)
    return Observed(
        model=model,
        names=names,
        after=after,
        whole=with_clipped(model, whole),
        extremes={name: one for name, one in extremes.items() if is_usable(one.smallest, one.largest)},
    )


def calibrated_ranges(
    observed: Observed, calibration: CalibrationData, settings: RangeSettings, *, progress: Progress
) -> Ranges:
    """Return the range of every observed activation; each holds 0 and has a width.

    Tensors that only a Relu or Clip reads have the range behind it. A tensor that is not finite, or beyond 1e30, has no
    range. A method that counts values goes over the samples once more, one batch in memory.

    Raises:
        CompressionInputError, CompressionError: as ``observed_activations``.
    """
    seen, whole = observed.extremes, observed.whole
    chosen = {name: _seen_range(one, settings) for name, one in seen.items()}
    if settings.needs_histogram:
        counted = {name: one for name, one in seen.items() if name not in whole and (one.smallest or one.largest)}
        for name, histogram in observe_histograms(observed.model, counted, calibration, progress).items():
            chosen[name] = choose_range(histogram, settings)
    for name in whole & seen.keys():
        chosen[name] = (seen[name].smallest, seen[name].largest)
    for name in observed.names:
        behind = name
        while behind in observed.after:
            behind = observed.after[behind]
        if behind in chosen:
            chosen[name] = chosen[behind]
    return {name: usable_range(*chosen[name]) for name in observed.names if name in chosen}


def _seen_range(seen: Extremes, settings: RangeSettings) -> tuple[float, float]:
    if settings.method == MOVING_AVERAGE:
        return seen.average_smallest, seen.average_largest
    return seen.smallest, seen.largest

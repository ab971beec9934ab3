"""The ranges of a model's activations over calibration data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

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

Ranges = Mapping[str, tuple[float, float]]


def calibrated_ranges(
    folded_path: Path,
    calibration: CalibrationData,
    settings: RangeSettings,
    *,
    op_types: Collection[str],
    progress: Progress,
    excluded: Collection[str] = (),
    whole: Collection[str] = (),
) -> Ranges:
    """Return the range of every activation that nodes of ``op_types`` touch; each holds 0 and has a width.

    Tensors that only a Relu or Clip reads have the range behind it. A tensor that is not finite, or beyond 1e30, has no
    range. Memory is that of one batch, whatever the number of samples.

    Args:
        folded_path: a model made by ``steelyard.compress.folding.fold``.
        calibration: the samples; every one is used, in their order.
        settings: how ranges are chosen.
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
    whole = with_clipped(model, whole)
    extremes = observe_extremes(model, [name for name in names if name not in after], calibration, progress)
    seen = {name: one for name, one in extremes.items() if is_usable(one.smallest, one.largest)}
    chosen = {name: _seen_range(one, settings) for name, one in seen.items()}
    if settings.needs_histogram:
        counted = {name: one for name, one in seen.items() if name not in whole and (one.smallest or one.largest)}
        for name, histogram in observe_histograms(model, counted, calibration, progress).items():
            chosen[name] = choose_range(histogram, settings)
    for name in whole:
        if name in seen:
            chosen[name] = (seen[name].smallest, seen[name].largest)
    for name in names:
        behind = name
        while behind in after:
            behind = after[behind]
        if behind in chosen:
            chosen[name] = chosen[behind]
    return {name: usable_range(*chosen[name]) for name in names if name in chosen}


def _seen_range(seen: Extremes, settings: RangeSettings) -> tuple[float, float]:
    if settings.method == MOVING_AVERAGE:
        return seen.average_smallest, seen.average_largest
    return seen.smallest, seen.largest

"""Make a sensitivity report: ranking, shares, scores, and what keeping the worst operators in float brings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.contract import Evaluation, StepContext
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.noise import Reference
from steelyard.compress.sensitivity import PartlyQuantized, Sensitivity, rank, worst
from steelyard.compress.sensitivity_report import LayerSensitivity, MetricDrops, SensitivityReport, literal_pattern
from steelyard.errors import SteelyardError
from steelyard.layers.contract import LayerTable
from steelyard.layers.read import read_layers

_LOGGER = logging.getLogger(__name__)


def report_on(
    parts: PartlyQuantized, data: CalibrationData, *, sample_count: int, scored: int, context: StepContext
) -> SensitivityReport:
    """Return the report; the metric is evaluated where ``context`` can, for the ``scored`` worst alone.

    Raises:
        CompressionInputError: nothing is quantized, or fewer samples than the model's batch.
        CompressionError: a model cannot be run.
    """
    if not parts.operators:
        raise CompressionInputError(
            "no_quantized_layers", "no operator of this model computes in integers; put static-int8 before sensitivity"
        )
    ranked = rank(parts, data, sample_count=sample_count, progress=context.progress)
    kept = tuple(one.operator.name for one in worst(ranked))
    reference = Reference(parts.float_runner(), data, sample_count)
    context.progress("everything quantized", 0, 2)
    whole_db = reference.sqnr_db(parts.runner(()))
    context.progress("the most sensitive in float", 1, 2)
    kept_db = reference.sqnr_db(parts.runner(kept))
    drops, metrics = _scores(parts, [one.operator.name for one in ranked[:scored]], kept, context)
    shapes = {name: one.shape for name, one in data.feed(0, data.batch(reference.batch_size)).items()}
    return SensitivityReport(
        layers=_layers(read_layers(parts.float_path, input_shapes=shapes), ranked, drops),
        sample_count=min(sample_count, data.sample_count),
        whole_sqnr_db=whole_db,
        kept=kept,
        keep_float=tuple(literal_pattern(name) for name in kept),
        kept_sqnr_db=kept_db,
        metrics=metrics,
    )


def _layers(
    table: LayerTable, ranked: Sequence[Sensitivity], drops: Mapping[str, float]
) -> tuple[LayerSensitivity, ...]:
    macs = {layer.outputs[0]: layer.mac_count for layer in table.layers if layer.outputs}
    noise = sum(one.noise for one in ranked)
    found = []
    for one in ranked:
        mac_count = macs.get(one.operator.output)
        is_known = mac_count is not None and table.counted_mac_count > 0
        found.append(
            LayerSensitivity(
                name=one.operator.name,
                kind=one.operator.kind,
                parameter_count=one.operator.parameter_count,
                mac_share=(mac_count or 0) / table.counted_mac_count if is_known else None,
                sqnr_db=one.sqnr_db,
                noise_share=one.noise / noise if noise else 0.0,
                metric_drop=drops.get(one.operator.name),
            )
        )
    return tuple(found)


def _scores(
    parts: PartlyQuantized, scored: Sequence[str], kept: Collection[str], context: StepContext
) -> tuple[dict[str, float], MetricDrops | None]:
    """Return by how much each of ``scored`` alone makes the metric worse, and all of them.

    Nothing without a task, or where the float model has no score.
    """
    evaluate = context.evaluate
    reference = None if evaluate is None or not scored else _score(evaluate, parts.float_path)
    if evaluate is None or reference is None:
        return {}, None
    path = context.work_dir / f"sensitivity-tried{parts.float_path.suffix}"
    names = {one.name for one in parts.operators}
    choices = [*(names - {name} for name in scored), frozenset[str](), frozenset(kept)]
    found = []
    for number, in_float in enumerate(choices):
        context.progress("scoring the most sensitive", number, len(choices))
        parts.write(in_float, path)
        score = _score(evaluate, path)
        found.append(None if score is None else score.worse_by(reference))
    *alone, whole, with_kept = found
    metrics = MetricDrops(
        metric=reference.metric,
        unit=reference.unit,
        higher_is_better=reference.higher_is_better,
        split=reference.split,
        sample_count=reference.sample_count,
        float_value=reference.value,
        whole_drop=whole,
        kept_drop=with_kept,
    )
    return {name: drop for name, drop in zip(scored, alone, strict=True) if drop is not None}, metrics


def _score(evaluate: Callable[[Path], Evaluation], path: Path) -> Evaluation | None:
    """Return what a model scores; None where it cannot be scored (outputs that are no numbers, one class only)."""
    try:
        return evaluate(path)
    except SteelyardError as error:
        _LOGGER.info("%s has no score: %s", path.name, error)
        return None

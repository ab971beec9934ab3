"""Sensitivity finds what quantization breaks, says what keeping it in float brings, and leaves the model alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.compress.contract import Evaluation, StepReport
from steelyard.compress.errors import CompressionError, CompressionInputError, RecipeError
from steelyard.compress.recipe import Recipe
from steelyard.compress.sensitivity import Operator, Sensitivity, worst
from steelyard.compress.sensitivity_report import (
    REPORT_KEY,
    SensitivityReport,
    literal_pattern,
    parse_report,
    report_of,
)
from steelyard.compress.steps.float16 import Float16
from steelyard.compress.steps.sensitivity import MeasureSensitivity
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard_protocol.v1 import control_pb2
from tests.controller.compress.repair_models import (
    CHANNELS,
    calibration,
    context_for,
    outputs,
    planted_net,
    quantized,
    repaired,
    sqnr_db,
)

_SIZE = 12


def measured(tmp_path: Path, evaluate: Callable[[Path], Evaluation] | None = None, **settings: Any) -> StepReport:
    """Return the step's report on the net whose fourth layer does not fit one scale."""
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)
    context = context_for(tmp_path / "work", float_path, data, evaluate=evaluate)
    made, report = repaired(MeasureSensitivity(**settings), model, context)
    assert made.read_bytes() == model.read_bytes()
    return report


def plain_report(report: StepReport) -> SensitivityReport:
    """Return the report as a job gives it back: through JSON."""
    return parse_report(json.loads(json.dumps(dict(report.settings)))[REPORT_KEY])


def test_the_planted_layer_is_the_most_sensitive_and_the_model_stays_as_it_is(tmp_path: Path) -> None:
    report = plain_report(measured(tmp_path))
    first = [one.name for one in report.layers[:2]]
    # The multiplication in front of it has the tensor that breaks as its output.
    assert "layer3_node" in first
    assert set(report.kept) <= set(first)
    assert report.layers[0].sqnr_db < report.layers[2].sqnr_db - 10
    assert [one.sqnr_db for one in report.layers] == sorted(one.sqnr_db for one in report.layers)
    assert sum(one.noise_share for one in report.layers) == pytest.approx(1.0)
    assert report.kept_sqnr_db > report.whole_sqnr_db + 3
    assert report.sample_count == 32
    assert report.metrics is None


def test_parameters_and_multiplications_are_the_layers_own(tmp_path: Path) -> None:
    report = plain_report(measured(tmp_path))
    by_name = {one.name: one for one in report.layers}
    pixels = _SIZE * _SIZE
    total = pixels * (CHANNELS + 7 * CHANNELS * CHANNELS) + CHANNELS * 10
    assert by_name["layer3_node"].parameter_count == CHANNELS * CHANNELS
    assert by_name["layer3_node"].mac_share == pytest.approx(pixels * CHANNELS * CHANNELS / total)
    assert sum(one.mac_share or 0.0 for one in report.layers) == pytest.approx(1.0)
    assert len(by_name) == len(report.layers)


def test_what_the_report_says_to_keep_in_float_brings_what_it_says(tmp_path: Path) -> None:
    report = plain_report(measured(tmp_path))
    float_path, data = tmp_path / "m.onnx", calibration()
    kept = quantized(float_path, data, per_channel=False, keep_float=report.keep_float)
    samples = np.concatenate([data.inputs["image"].samples(0, 32)])
    expected, given = (outputs(path, samples=samples) for path in (float_path, kept))
    assert sqnr_db(expected, given) == pytest.approx(report.kept_sqnr_db, abs=3.0)


def likeness(float_path: Path) -> Callable[[Path], Evaluation]:
    """Return a metric that is lower for a better model: the size of the outputs' error, as a share of theirs."""
    expected = outputs(float_path)

    def evaluate(path: Path) -> Evaluation:
        error = float(np.linalg.norm(outputs(path) - expected) / np.linalg.norm(expected))
        return Evaluation(
            metric="error", unit="", higher_is_better=False, value=error, sample_count=64, split="validation"
        )

    return evaluate


def test_with_a_task_the_worst_are_scored_alone_and_so_are_all_of_them(tmp_path: Path) -> None:
    report = plain_report(measured(tmp_path, likeness(planted_net(tmp_path / "copy.onnx")), scored=2))
    drops = [one.metric_drop for one in report.layers]
    assert all(drop is not None and drop > 0 for drop in drops[:2])
    assert drops[2:] == [None] * (len(drops) - 2)
    metrics = report.metrics
    assert metrics is not None
    assert (metrics.metric, metrics.split, metrics.sample_count) == ("error", "validation", 64)
    assert metrics.float_value == pytest.approx(0.0, abs=1e-3)
    assert metrics.whole_drop is not None
    assert metrics.kept_drop is not None
    assert metrics.kept_drop < metrics.whole_drop


def test_scoring_can_be_left_out(tmp_path: Path) -> None:
    assert plain_report(measured(tmp_path, likeness(planted_net(tmp_path / "copy.onnx")), scored=0)).metrics is None


def test_a_model_that_cannot_be_scored_is_still_ranked(tmp_path: Path) -> None:
    def undefined(_path: Path) -> Evaluation:
        raise CompressionInputError(
            "score_undefined", "AUC has no value for these samples; give samples of every class"
        )

    report = plain_report(measured(tmp_path, undefined))
    assert report.metrics is None
    assert report.layers


def test_the_note_names_the_worst_and_what_keeping_it_brings(tmp_path: Path) -> None:
    report = measured(tmp_path)
    (note,) = report.notes
    assert plain_report(report).kept[0] in note
    assert "in float" in note


def ranked(*ratios: float) -> list[Sensitivity]:
    return [
        Sensitivity(operator=Operator(name=f"op{at}", kind="Conv", output=f"y{at}", parameter_count=1), sqnr_db=ratio)
        for at, ratio in enumerate(ratios)
    ]


@pytest.mark.parametrize(
    ("ratios", "count"),
    [
        ((10.0, *[40.0] * 19), 1),
        ((20.0, 20.0, 20.0, *[60.0] * 17), 2),
        # Where none stands out, a fifth of them at most.
        ((30.0,) * 20, 4),
        ((30.0, 30.0), 1),
    ],
)
def test_the_worst_are_those_that_hold_half_of_the_noise(ratios: tuple[float, ...], count: int) -> None:
    assert [one.operator.name for one in worst(ranked(*ratios))] == [f"op{at}" for at in range(count)]


def test_a_pattern_of_a_name_with_signs_of_patterns_fits_that_name_alone() -> None:
    from fnmatch import fnmatchcase

    name = "block[0]/conv*?"
    assert fnmatchcase(name, literal_pattern(name))
    assert not fnmatchcase("block0/conv__", literal_pattern(name))


def test_a_job_without_the_step_has_no_report() -> None:
    with pytest.raises(CompressionInputError, match="did not measure sensitivity"):
        report_of([control_pb2.LineageStep(kind="static-int8")])


def test_a_report_of_another_version_is_refused_with_what_to_do() -> None:
    step = control_pb2.LineageStep(kind="sensitivity", settings_json='{"report": {"layers": [], "colour": 1}}')
    with pytest.raises(CompressionError, match="--no-cache"):
        report_of([step])


def test_it_stands_behind_static_int8_only() -> None:
    assert Recipe([StaticInt8(), MeasureSensitivity()]).name == "static-int8+sensitivity"
    with pytest.raises(RecipeError, match="sensitivity"):
        Recipe([Float16(), MeasureSensitivity()])


@pytest.mark.parametrize("settings", [{"sample_count": 0}, {"scored": -1}, {"scored": True}])
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(settings))):
        MeasureSensitivity(**settings)

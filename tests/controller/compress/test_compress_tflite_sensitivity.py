"""Sensitivity of TFLite models: operators are quantized one by one by litert-quantizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.compress.applying import apply_step
from steelyard.compress.contract import FLOAT32, INT8, TFLITE, Ancestor, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.sensitivity_report import REPORT_KEY, SensitivityReport, parse_report
from steelyard.compress.steps.dynamic_int8 import DynamicInt8
from steelyard.compress.steps.sensitivity import MeasureSensitivity
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.compress.tflite.flatbuffer_model import add_buffer, read_model, write_model
from steelyard.compress.tflite.graph import Graph
from tests.controller.compress.tflite_running import applied, images, outputs, sqnr_db
from tests.support.tflite_nets import mobile_net


def unbalanced(path: Path) -> tuple[Path, str]:
    """Write a net one of whose layers has a weight far above all others; return its file and that layer's output."""
    graph = Graph(read_model(mobile_net(path)))
    operator, tensor, values = list(graph.weights())[1]
    planted = values.copy()
    planted.reshape(-1)[0] = 40 * np.abs(values).max()
    graph.tensors[tensor].buffer = add_buffer(graph.model, planted)
    write_model(graph.model, path)
    return path, graph.name(int(operator.outputs[0]))


def measured(float_path: Path, quantizing: Any, **settings: Any) -> StepReport:
    """Quantize a model and return what the step says of it; the model stays as it is."""
    data = images()
    model, report = applied(quantizing, float_path, data)
    context = StepContext(
        work_dir=float_path.parent,
        progress=lambda message, done, total: None,
        calibration=data,
        model_format=TFLITE,
        ancestors=(
            Ancestor(path=float_path, form=FLOAT32),
            Ancestor(path=model, form=INT8, step=quantizing, report=report),
        ),
    )
    out = model.with_name("measured.tflite")
    found = apply_step(MeasureSensitivity(**settings), model, out, context)
    assert out.read_bytes() == model.read_bytes()
    return found


def report_on(float_path: Path, quantizing: Any) -> SensitivityReport:
    plain: Any = measured(float_path, quantizing, sample_count=6).settings[REPORT_KEY]
    return parse_report(plain)


def test_the_planted_layer_is_the_most_sensitive_and_keeping_it_in_float_helps(tmp_path: Path) -> None:
    float_path, planted = unbalanced(tmp_path / "m.tflite")
    step = StaticInt8(per_channel=False)
    report = report_on(float_path, step)
    assert report.layers[0].name == planted
    assert report.layers[0].parameter_count > 0
    assert report.kept == (planted,)
    assert report.kept_sqnr_db > report.whole_sqnr_db + 3
    assert sum(one.mac_share or 0.0 for one in report.layers) == pytest.approx(1.0)

    shown = images(seed=9)
    kept, _ = applied(replace(step, keep_float=report.keep_float), float_path, images())
    with_it = sqnr_db(outputs(float_path, shown), outputs(kept, shown))
    plain, _ = applied(step, float_path, images())
    assert with_it > sqnr_db(outputs(float_path, shown), outputs(plain, shown)) + 3


def test_what_stays_in_float_anyway_is_not_listed(tmp_path: Path) -> None:
    float_path, planted = unbalanced(tmp_path / "m.tflite")
    report = report_on(float_path, StaticInt8(per_channel=False, keep_float=(planted,)))
    assert planted not in {one.name for one in report.layers}


def test_scales_that_are_found_at_run_time_are_refused(tmp_path: Path) -> None:
    float_path, _ = unbalanced(tmp_path / "m.tflite")
    with pytest.raises(CompressionInputError, match="put static-int8 before it"):
        measured(float_path, DynamicInt8())

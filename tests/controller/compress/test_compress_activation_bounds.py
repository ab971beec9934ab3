"""Bounds of activations behind layers, as exporters write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from steelyard.compress.qdq.activation_bounds import activation_bounds
from steelyard.compress.qdq.pairing import read_pair
from steelyard.compress.steps.equalize import Equalize
from tests.controller.compress.repair_models import (
    calibration,
    context_for,
    depthwise_net,
    outputs,
    quantized,
    repaired,
)


def listed_caps(path: Path) -> Path:
    """Write a net of Clip nodes whose bounds are lists of one value, as some converters store them."""
    model = onnx.load_model(depthwise_net(path, cap=6.0))
    for tensor in model.graph.initializer:
        if tensor.name.startswith(("low", "high")):
            values = numpy_helper.to_array(tensor).reshape(1)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
    onnx.save_model(model, path)
    return path


@pytest.mark.parametrize(("cap", "bounds"), [(None, (0.0, np.inf)), (6.0, (0.0, 6.0))])
def test_a_relu_and_a_clip_bound_the_layer_before_them_and_the_head_is_free(
    tmp_path: Path, cap: float | None, bounds: tuple[float, float]
) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", cap=cap)
    graph = read_pair(quantized(float_path, calibration()), float_path, tmp_path, kind="test")
    found = [activation_bounds(graph, unit) for unit in graph.layers]
    assert found == [*[bounds] * 5, (-np.inf, np.inf)]


def test_bounds_that_are_lists_of_one_value_are_read(tmp_path: Path) -> None:
    float_path = listed_caps(tmp_path / "m.onnx")
    graph = read_pair(quantized(float_path, calibration()), float_path, tmp_path, kind="test")
    assert activation_bounds(graph, graph.layers[0]) == (0.0, 6.0)


def test_equalizing_reads_them_too(tmp_path: Path) -> None:
    float_path = listed_caps(tmp_path / "m.onnx")
    context = context_for(tmp_path / "work", float_path, calibration())
    _, report = repaired(Equalize(), float_path, context)
    assert "nothing was equalized" in report.notes[0]
    path, _ = repaired(Equalize(capped="replace-unreached"), float_path, context)
    samples = context.calibration.inputs["image"].samples(0, 32) if context.calibration else None
    np.testing.assert_allclose(outputs(path, samples=samples), outputs(float_path, samples=samples), atol=1e-4)

"""Learnt rounding lowers the error of a layer's outputs and moves each weight by one step at most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from steelyard.compress.errors import RecipeError
from steelyard.compress.qdq.graph import Unit
from steelyard.compress.qdq.layer_rows import LayerRows
from steelyard.compress.steps.adaround import AdaRound
from tests.controller.compress.repair_models import (
    calibration,
    context_for,
    depthwise_net,
    outputs,
    quantized,
    repaired,
    sqnr_db,
)


@pytest.mark.parametrize(
    ("op", "shape", "inputs", "attributes"),
    [
        ("Conv", (6, 4, 3, 3), (2, 4, 9, 8), {"pads": [1, 0, 1, 2], "strides": [2, 1]}),
        ("Conv", (6, 2, 3, 3), (2, 4, 9, 8), {"group": 2, "dilations": [2, 1]}),
        ("Conv", (4, 1, 3, 3), (2, 4, 9, 8), {"group": 4, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ("Conv", (4, 4, 2), (2, 4, 9), {"auto_pad": "SAME_LOWER"}),
        ("Gemm", (5, 3), (7, 5), {}),
        ("Gemm", (3, 5), (7, 5), {"transB": 1}),
        ("MatMul", (5, 3), (2, 4, 5), {}),
    ],
)
def test_rows_times_columns_are_the_layer(
    op: str, shape: tuple[int, ...], inputs: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    weight, values = (rng.standard_normal(size).astype(np.float32) for size in (shape, inputs))
    node = helper.make_node(op, ["x", "w"], ["y"], **attributes)
    infos = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "w", "y")]
    graph = helper.make_graph([node], "one", infos[:2], infos[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    (given,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": values, "w": weight})
    unit = Unit(name="one", node=node, float_node=node, dropped=(), weight=None, bias=None)
    assert LayerRows.takes(unit, len(shape))
    layer = LayerRows(unit, shape)
    rows, expected = layer.drawn(values, given, 10, np.random.default_rng(1))
    assert rows.shape[1] == expected.shape[1]
    np.testing.assert_allclose(np.matmul(rows, layer.to_columns(weight)), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(layer.from_columns(layer.to_columns(weight)), weight)


def test_a_model_gets_nearer_to_the_float_one_and_no_weight_moves_by_more_than_a_step(tmp_path: Path) -> None:
    float_path, data = depthwise_net(tmp_path / "m.onnx", imbalance=30), calibration(64)
    model = quantized(float_path, data, per_channel=False, reduce_range=True)
    path, report = repaired(AdaRound(iterations=100), model, context_for(tmp_path / "work", float_path, data))
    expected = outputs(float_path)
    assert sqnr_db(expected, outputs(path)) > sqnr_db(expected, outputs(model)) + 6
    before, after = _tensors(model), _tensors(path)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    for name in changed:
        assert name.endswith("_w_quantized")
        assert np.abs(before[name].astype(int) - after[name]).max() == 1
        assert after[name].dtype == before[name].dtype
        assert np.abs(after[name].astype(int)).max() <= 64
    assert "the rounding of" in report.notes[0]


def test_every_kind_of_layer_is_learnt_or_told_why_not(tmp_path: Path) -> None:
    float_path, data = depthwise_net(tmp_path / "m.onnx"), calibration()
    told: list[str] = []
    context = context_for(tmp_path / "work", float_path, data)
    object.__setattr__(context, "progress", lambda message, done, total: told.append(f"{message} {done}/{total}"))
    path, report = repaired(AdaRound(iterations=20), quantized(float_path, data), context)
    onnx.checker.check_model(onnx.load_model(path))
    assert "learning the rounding of layer1_node 1/6" in told
    assert report.settings == {"iterations": 20, "sample_count": 64}
    assert report.notes


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    float_path, data = depthwise_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data)
    context = context_for(tmp_path / "work", float_path, data)
    first = repaired(AdaRound(iterations=20), model, context)[0].read_bytes()
    assert repaired(AdaRound(iterations=20), model, context)[0].read_bytes() == first


@pytest.mark.parametrize("settings", [{"iterations": 0}, {"sample_count": 1.5}])
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(settings))):
        AdaRound(**settings)


def _tensors(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model(path).graph.initializer}

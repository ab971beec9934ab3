"""Files that a runtime runs alike have one form, and others have another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from benchmarks.compression.same_kernels import form_of
from onnx import TensorProto, helper, numpy_helper


def _saved(folder: Path, *, seed: int = 0, width: int = 4, zero_point: int = 0, axis: int = 1, name: str = "y") -> Path:
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("QuantizeLinear", ["h", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("Softmax", ["d"], [name], axis=axis),
    ]
    weights = [
        numpy_helper.from_array(rng.standard_normal((3, width), dtype=np.float32), "w"),
        numpy_helper.from_array(rng.random(dtype=np.float32) * np.ones((), np.float32), "scale"),
        numpy_helper.from_array(np.array(zero_point, np.uint8), "zero"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])],
        weights,
    )
    path = folder / f"{seed}-{width}-{zero_point}-{axis}-{name}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_other_weights_scales_and_names_leave_the_form(tmp_path: Path) -> None:
    assert form_of(_saved(tmp_path)) == form_of(_saved(tmp_path, seed=1, name="z"))
    assert form_of(_saved(tmp_path, zero_point=7)) == form_of(_saved(tmp_path, seed=1, zero_point=9))


@pytest.mark.parametrize("changed", [{"width": 5}, {"zero_point": 7}, {"axis": 0}])
def test_other_shapes_settings_and_lowest_values_change_the_form(tmp_path: Path, changed: dict[str, int]) -> None:
    assert form_of(_saved(tmp_path)) != form_of(_saved(tmp_path, **changed))


def test_a_file_of_litert_has_a_form_of_its_own(tmp_path: Path) -> None:
    one, other = tmp_path / "a.tflite", tmp_path / "b.tflite"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    assert form_of(one) != form_of(other)

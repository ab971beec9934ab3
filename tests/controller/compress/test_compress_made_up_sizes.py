"""Shapes that inference made up names for are not handed on, and what a user can know of a model is."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from steelyard.compress.preparation.made_up_sizes import drop_made_up_sizes
from steelyard.compress.steps.static_int8 import StaticInt8
from tests.controller.compress.int8_models import applied, samples, shortcut_cnn


def test_only_shapes_with_a_size_that_no_input_or_output_names_go() -> None:
    def shaped(name: str, *sizes: object) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(sizes))

    inner = [
        shaped("known", "batch", 8),
        shaped("fixed", 4, 8),
        shaped("made_up", "batch", "unk__3"),
        shaped("open", None),
    ]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [shaped("x", "batch", 8)], [shaped("y", "batch", 8)], value_info=inner)
    )
    assert drop_made_up_sizes(model) == 1
    assert [value.name for value in model.graph.value_info] == ["known", "fixed", "open"]
    assert drop_made_up_sizes(model) == 0


def test_a_quantized_model_names_no_size_of_its_own(tmp_path: Path) -> None:
    made, _ = applied(StaticInt8(), shortcut_cnn(tmp_path / "m.onnx"), samples(8, 1, 12, 12, name="image"))
    inner = onnx.load_model(made).graph.value_info
    assert inner
    assert {size.dim_param for value in inner for size in value.type.tensor_type.shape.dim} <= {"", "batch"}

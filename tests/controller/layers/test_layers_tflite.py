"""Layers of TFLite files of every kind that multiplies, and of those that nobody can count."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.layers.read import read_layers
from steelyard.layers.tflite_layers import tflite_layers
from tests.support.layer_truth import FOLDER
from tests.support.tflite_graphs import Node, Tensor, write_graph


def _one(path: Path, kind: str, inputs: list[Tensor | None], output: tuple[int, ...], custom: str = ""):
    known = [tensor for tensor in inputs if tensor is not None]
    node = Node(kind, tuple(tensor.name if tensor else None for tensor in inputs), ("y",), custom)
    given_names = [tensor.name for tensor in known if not tensor.is_stored]
    (layer,) = read_layers(write_graph(path, [*known, Tensor("y", output)], [node], given_names)).layers
    return layer


def _stored(name: str, *shape: int, dtype: str = "float32") -> Tensor:
    return Tensor(name, shape, dtype, is_stored=True)


@pytest.mark.parametrize(
    ("kind", "given_shape", "weight", "made", "macs"),
    [
        ("CONV_2D", (1, 8, 8, 4), (6, 3, 3, 4), (1, 8, 8, 6), 64 * 6 * 9 * 4),
        # Two groups: each kernel sees half of the channels.
        ("CONV_2D", (1, 8, 8, 4), (6, 3, 3, 2), (1, 8, 8, 6), 64 * 6 * 9 * 2),
        ("DEPTHWISE_CONV_2D", (1, 8, 8, 4), (1, 3, 3, 8), (1, 4, 4, 8), 16 * 8 * 9),
        ("FULLY_CONNECTED", (2, 10), (7, 10), (2, 7), 2 * 7 * 10),
        ("CONV_3D", (1, 4, 4, 4, 2), (3, 3, 3, 2, 5), (1, 4, 4, 4, 5), 64 * 5 * 27 * 2),
    ],
)
def test_layers_with_stored_weights(
    tmp_path: Path, kind: str, given_shape: tuple, weight: tuple, made: tuple, macs: int
) -> None:
    layer = _one(tmp_path / "m.tflite", kind, [Tensor("x", given_shape), _stored("w", *weight)], made)
    assert layer.mac_count == macs
    assert layer.is_depthwise == (kind == "DEPTHWISE_CONV_2D")
    assert layer.name == f"{kind}_0"


def test_transposed_convolutions_meet_every_tap_with_every_element(tmp_path: Path) -> None:
    inputs = [_stored("shape", 4, dtype="int32"), _stored("w", 5, 3, 3, 2), Tensor("x", (1, 4, 4, 2))]
    layer = _one(tmp_path / "m.tflite", "TRANSPOSE_CONV", inputs, (1, 8, 8, 5))
    assert layer.mac_count == 4 * 4 * 2 * 5 * 9
    # The shape that is stored beside the weights is none of them.
    assert layer.parameter_count == 5 * 9 * 2


@pytest.mark.parametrize("left", [(2, 3, 4), (2, 4, 3)])
def test_products_of_batches_whichever_way_the_left_side_is_turned(tmp_path: Path, left: tuple[int, ...]) -> None:
    layer = _one(tmp_path / "m.tflite", "BATCH_MATMUL", [Tensor("a", left), Tensor("b", (2, 4, 5))], (2, 3, 5))
    assert layer.mac_count == 2 * 3 * 4 * 5


def test_an_lstm_multiplies_all_of_its_matrices_at_each_step(tmp_path: Path) -> None:
    cells, width = 6, 5
    gates = [_stored(f"i{gate}", cells, width) for gate in range(4)]
    recurrent = [_stored(f"r{gate}", cells, cells) for gate in range(4)]
    inputs = [Tensor("x", (2, 7, width)), *gates, *recurrent]
    layer = _one(tmp_path / "m.tflite", "UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, (2, 7, cells))
    assert layer.mac_count == 2 * 7 * 4 * cells * (width + cells)
    # With its input gate coupled to the forget gate one of each is left out.
    coupled = [inputs[0], None, *gates[1:], None, *recurrent[1:]]
    layer = _one(tmp_path / "m.tflite", "UNIDIRECTIONAL_SEQUENCE_LSTM", coupled, (2, 7, cells))
    assert layer.mac_count == 2 * 7 * 3 * cells * (width + cells)


@pytest.mark.parametrize(("kind", "custom"), [("WHILE", ""), ("CUSTOM", "Frobnicate"), ("DELEGATE", "")])
def test_what_cannot_be_counted_is_not_nothing(tmp_path: Path, kind: str, custom: str) -> None:
    layer = _one(tmp_path / "m.tflite", kind, [Tensor("x", (1, 4))], (1, 4), custom)
    assert layer.mac_count is None
    assert layer.reason
    assert custom in layer.kind


def test_other_sizes_than_the_file_holds_are_not_guessed() -> None:
    path = FOLDER / "keyword_spotting.tflite"
    table = read_layers(path, batch_size=4)
    assert table.mac_count is None
    assert table.parameter_count == read_layers(path).parameter_count
    conv = next(layer for layer in table.layers if layer.kind == "CONV_2D")
    assert "not as (4, " in conv.reason


def test_float16_weights_that_are_widened_are_their_layers_parameters(tmp_path: Path) -> None:
    tensors = [Tensor("x", (1, 4)), _stored("h", 3, 4, dtype="float16"), Tensor("w", (3, 4)), Tensor("y", (1, 3))]
    nodes = [Node("DEQUANTIZE", ("h",), ("w",)), Node("FULLY_CONNECTED", ("x", "w"), ("y",))]
    table = read_layers(write_graph(tmp_path / "m.tflite", tensors, nodes, ["x"]))
    assert [(layer.mac_count, layer.parameter_count) for layer in table.layers] == [(0, 0), (12, 12)]
    assert table.layers[1].weight_dtype == "float16"


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_but_never_a_crash(data: st.DataObject) -> None:
    content = bytearray((FOLDER / "keyword_spotting.tflite").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        table = tflite_layers(Path("model.tflite"), bytes(content), input_shapes={}, batch_size=1)
    except InvalidModelError:
        return
    assert all(layer.parameter_count >= 0 for layer in table.layers)

"""Operators with weights become layers whose weights are parameters, and compute what onnxruntime computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.train.lift import lift_checked
from tests.controller.train.lift.graphs import drawn, node, write

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


def kinds(lifted: Any) -> list[str]:
    return [type(child).__name__ for child in lifted.module.children()]


@pytest.mark.parametrize(
    ("given", "weight", "attributes"),
    [
        ((1, 4, 9), (6, 4, 3), {"pads": [1, 1]}),
        ((1, 4, 9), (6, 4, 3), {"pads": [2, 0], "strides": [2]}),
        ((1, 4, 8, 9), (6, 2, 3, 3), {"group": 2, "dilations": [2, 1], "pads": [2, 1, 2, 1]}),
        ((1, 4, 8, 9), (4, 1, 3, 3), {"group": 4, "strides": [2, 2], "pads": [0, 0, 1, 1]}),
        ((1, 4, 8, 9), (6, 4, 3, 2), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ((1, 4, 8, 9), (6, 4, 3, 2), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
        ((1, 4, 8, 9), (6, 4, 1, 1), {"auto_pad": "VALID"}),
    ],
)
def test_a_convolution_is_a_layer_whatever_its_pads(
    tmp_path: Path, given: tuple[int, ...], weight: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    stored = {"w": drawn(*weight), "b": drawn(weight[0])}
    rank = ["N", *given[1:]]
    path = write(
        tmp_path / "m.onnx",
        [node("Conv", "x w b", "y", **attributes)],
        {"x": rank},
        {"y": ["N", *["?"] * (len(given) - 1)]},
        stored,
    )
    lifted = lift_checked(path)
    assert kinds(lifted) == [f"Conv{len(given) - 2}d"]
    assert {tuple(one.shape) for one in lifted.module.parameters()} == {weight, (weight[0],)}


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
        {"strides": [2, 2], "pads": [0, 0, 1, 1]},
        {"strides": [3, 2], "output_shape": [10, 8]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"group": 2},
    ],
)
def test_a_transposed_convolution_is_a_layer(tmp_path: Path, attributes: dict[str, Any]) -> None:
    stored = {"w": drawn(4, 3, 3, 3), "b": drawn(3 * attributes.get("group", 1))}
    path = write(
        tmp_path / "m.onnx",
        [node("ConvTranspose", "x w b", "y", **attributes)],
        {"x": ["N", 4, 3, 3]},
        {"y": ["N", "c", "h", "w"]},
        stored,
    )
    assert kinds(lift_checked(path)) == ["ConvTranspose2d"]


@pytest.mark.parametrize("turned", [0, 1])
def test_gemm_is_a_linear_layer_with_its_factors_in_the_weights(tmp_path: Path, turned: int) -> None:
    weight = drawn(5, 7) if turned else drawn(7, 5)
    path = write(
        tmp_path / "m.onnx",
        [node("Gemm", "x w b", "y", transB=turned, alpha=0.5, beta=2.0)],
        {"x": ["N", 7]},
        {"y": ["N", 5]},
        {"w": weight, "b": drawn(5)},
    )
    lifted = lift_checked(path)
    assert kinds(lifted) == ["Linear"]
    assert len(list(lifted.module.parameters())) == 2


def test_a_product_and_the_bias_behind_it_are_one_linear_layer(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("MatMul", "x w", "p"), node("Add", "b p", "y")],
        {"x": ["N", 3, 7]},
        {"y": ["N", 3, 5]},
        {"w": drawn(7, 5), "b": drawn(5)},
    )
    lifted = lift_checked(path)
    (layer,) = lifted.module.children()
    assert isinstance(layer, torch.nn.Linear)
    assert layer.bias is not None
    assert set(lifted.layers.values()) == {"/p/MatMul"}


def test_a_matrix_that_is_read_twice_is_one_parameter_and_a_shared_vector_is_not(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [
            node("Gather", "table ids", "e"),
            node("LayerNormalization", "e ones zeros", "n"),
            node("LayerNormalization", "n ones zeros", "o"),
            node("Transpose", "table", "turned", perm=[1, 0]),
            node("MatMul", "o turned", "y"),
        ],
        {"ids": ["N", 4]},
        {"y": ["N", 4, 11]},
        {"table": drawn(11, 6), "ones": np.ones(6, np.float32), "zeros": np.zeros(6, np.float32)},
        whole=["ids"],
    )
    lifted = lift_checked(path)
    assert kinds(lifted) == ["Embedding", "LayerNorm", "LayerNorm", "Linear"]
    embedding, first, second, linear = lifted.module.children()
    assert embedding.weight is linear.weight
    assert first.weight is not second.weight


def test_batch_normalization_keeps_its_statistics_and_turns_its_momentum(tmp_path: Path) -> None:
    stored = {"s": drawn(4), "b": drawn(4, seed=1), "m": drawn(4, seed=2), "v": np.abs(drawn(4, seed=3)) + 0.5}
    path = write(
        tmp_path / "m.onnx",
        [node("BatchNormalization", "x s b m v", "y", epsilon=1e-3, momentum=0.99)],
        {"x": ["N", 4, 5, 5]},
        {"y": ["N", 4, 5, 5]},
        stored,
    )
    (layer,) = lift_checked(path).module.children()
    assert isinstance(layer, torch.nn.BatchNorm2d)
    assert layer.momentum == pytest.approx(0.01)
    assert np.array_equal(layer.running_var.numpy(), stored["v"])


@pytest.mark.parametrize(("opset", "square"), [(13, "Pow"), (18, "Mul")])
def test_a_layer_norm_that_is_spelled_out_is_one_layer(tmp_path: Path, opset: int, square: str) -> None:
    stored: dict[str, Any] = {"two": np.float32(2), "eps": np.float32(1e-6), "s": drawn(6), "b": drawn(6, seed=1)}
    mean: dict[str, Any] = {"axes": [-1]} if opset < 18 else {}
    extra = " last" if opset >= 18 else ""
    stored |= {"last": np.array([-1])} if opset >= 18 else {}
    path = write(
        tmp_path / "m.onnx",
        [
            node("ReduceMean", f"x{extra}", "mean", **mean),
            node("Sub", "x mean", "moved"),
            node(square, "moved two" if square == "Pow" else "moved moved", "squares"),
            node("ReduceMean", f"squares{extra}", "variance", **mean),
            node("Add", "variance eps", "safe"),
            node("Sqrt", "safe", "deviation"),
            node("Div", "moved deviation", "normal"),
            node("Mul", "normal s", "scaled"),
            node("Add", "scaled b", "y"),
        ],
        {"x": ["N", 3, 6]},
        {"y": ["N", 3, 6]},
        stored,
        opset=opset,
    )
    (layer,) = lift_checked(path).module.children()
    assert isinstance(layer, torch.nn.LayerNorm)
    assert layer.eps == pytest.approx(1e-6)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_layers_keep_directions_and_first_states(
    tmp_path: Path, kind: str, gates: int, direction: str
) -> None:
    sides = 2 if direction == "bidirectional" else 1
    stored = {"w": drawn(sides, gates * 5, 4), "r": drawn(sides, gates * 5, 5), "b": drawn(sides, gates * 10)}
    attributes: dict[str, Any] = {"hidden_size": 5, "direction": direction}
    attributes |= {"linear_before_reset": 1} if kind == "GRU" else {}
    states = " h c" if kind == "LSTM" else " h"
    made = {"y": [7, sides, "N", 5], "last": [sides, "N", 5]} | ({"cell": [sides, "N", 5]} if kind == "LSTM" else {})
    path = write(
        tmp_path / "m.onnx",
        [node(kind, f"x w r b -{states}", " ".join(made), **attributes)],
        {"x": [7, "N", 4]} | {name: [sides, "N", 5] for name in states.split()},
        made,
        stored,
    )
    shapes = {"x": (7, 2, 4)} | dict.fromkeys(states.split(), (sides, 2, 5))
    lifted = lift_checked(path, shapes=shapes)
    assert isinstance(next(lifted.module.children()).layer, getattr(torch.nn, kind))
    assert sum(one.numel() for one in lifted.module.parameters()) == sum(one.size for one in stored.values())


def test_a_slope_per_channel_is_a_prelu_layer(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("PRelu", "x s", "y")],
        {"x": ["N", 4, 5, 5]},
        {"y": ["N", 4, 5, 5]},
        {"s": drawn(4, 1, 1)},
    )
    assert kinds(lift_checked(path)) == ["PReLU"]


def test_scales_masks_and_sizes_are_no_parameters_and_added_weights_are(tmp_path: Path) -> None:
    stored = {
        "position": drawn(3, 6),
        "scale": np.float32(0.25),
        "mask": np.where(np.tri(6)[:3] > 0, 0, -1e9).astype(np.float32),
        "kept": np.tri(6)[:3].astype(np.float32),
    }
    path = write(
        tmp_path / "m.onnx",
        [
            node("Add", "x position", "a"),
            node("Mul", "a scale", "s"),
            node("Add", "s mask", "m"),
            node("Mul", "m kept", "y"),
        ],
        {"x": ["N", 3, 6]},
        {"y": ["N", 3, 6]},
        stored,
    )
    lifted = lift_checked(path)
    assert [name for name, _ in lifted.module.named_parameters()] == ["position"]
    assert {name for name, _ in lifted.module.named_buffers()} == {"scale", "mask", "kept"}


def test_a_weight_that_stands_under_a_second_name_is_found_in_its_layer(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("Identity", "b", "again"), node("MatMul", "x w", "a"), node("Add", "a again", "y")],
        {"x": ["N", 6]},
        {"y": ["N", 4]},
        {"w": drawn(6, 4), "b": drawn(4)},
    )
    lifted = lift_checked(path)
    (layer,) = lifted.module.children()
    assert layer.bias.shape == (4,)


def test_weights_are_never_called_as_the_exporter_calls_its_values(tmp_path: Path) -> None:
    """It writes val_5 for a value of its own, and fails where that is there."""
    path = write(
        tmp_path / "m.onnx", [node("Add", "x val_5", "y")], {"x": ["N", 6]}, {"y": ["N", 6]}, {"val_5": drawn(6)}
    )
    assert [name for name, _ in lift_checked(path).module.named_parameters()] == ["stored_val_5"]


def test_a_stored_weight_may_be_an_output(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("MatMul", "x w", "y")],
        {"x": ["N", 6]},
        {"y": ["N", 4], "w": [6, 4]},
        {"w": drawn(6, 4)},
    )
    assert lift_checked(path).output_names == ("y", "w")

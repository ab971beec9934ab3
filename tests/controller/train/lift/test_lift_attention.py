"""Attention that is spelled out becomes a layer whose count of heads can be read and changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from steelyard.train.errors import LiftError
from steelyard.train.export.example import Interface
from steelyard.train.export.onnx_program import export_onnx
from steelyard.train.lift import lift_checked
from steelyard.train.lift.lifted import TensorForm
from tests.controller.train.lift.graphs import drawn, node, write

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

WIDTH, HEADS = 12, 3


def projections() -> list[onnx.NodeProto]:
    return [
        made
        for name in "qkv"
        for made in (node("MatMul", f"x w{name}", f"{name}0"), node("Add", f"{name}0 b{name}", f"{name}1"))
    ]


def encoder(path: Path, *, masked: bool, two_turns: bool, flat: bool = False) -> Path:
    """One attention over heads and its output projection, as exporters write it.

    ``flat`` has tokens of five a sample side by side on the first axis.
    """
    turned = [node("Transpose", "k2", "k3", perm=[0, 2, 3, 1])]
    if two_turns:
        turned = [node("Transpose", "k2", "kh", perm=[0, 2, 1, 3]), node("Transpose", "kh", "k3", perm=[0, 1, 3, 2])]
    scores = [node("MatMul", "q3 k3", "s0"), node("Div", "s0 root", "s1")]
    scores += [node("Add", "s1 mask", "s2")] if masked else [node("Identity", "s1", "s2")]
    scores = scores if masked else [node("MatMul", "q3 k3", "s0"), node("Div", "s0 root", "s2")]
    nodes = [
        *projections(),
        *(node("Reshape", f"{name}1 split", f"{name}2") for name in "qkv"),
        *(node("Transpose", f"{name}2", f"{name}3", perm=[0, 2, 1, 3]) for name in "qv"),
        *turned,
        *scores,
        node("Softmax", "s2", "p", axis=-1),
        node("MatMul", "p v3", "o0"),
        node("Transpose", "o0", "o1", perm=[0, 2, 1, 3]),
        node("Reshape", "o1 join", "o2"),
        node("MatMul", "o2 wo", "y0"),
        node("Add", "y0 bo", "y"),
    ]
    stored: dict[str, Any] = {f"w{name}": drawn(WIDTH, WIDTH, seed=at) for at, name in enumerate("qkvo")}
    stored |= {f"b{name}": drawn(WIDTH, seed=at) for at, name in enumerate("qkvo")}
    stored |= {"split": np.array([0, 0, HEADS, -1]), "join": np.array([0, 0, WIDTH]), "root": np.float32(2.0)}
    if flat:
        stored["split"] = np.array([-1, 5, HEADS, WIDTH // HEADS])
        return write(path, nodes, {"x": [10, WIDTH]}, {"y": [2, 5, WIDTH]}, stored)
    inputs = {"x": ["N", "T", WIDTH]} | ({"mask": ["N", 1, 1, "T"]} if masked else {})
    return write(path, nodes, inputs, {"y": ["N", "T", WIDTH]}, stored)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("two_turns", [True, False])
def test_a_spelled_out_attention_is_one_layer(tmp_path: Path, masked: bool, two_turns: bool) -> None:
    lifted = lift_checked(encoder(tmp_path / "m.onnx", masked=masked, two_turns=two_turns))
    layers = {type(child).__name__: child for child in lifted.module.children()}
    assert set(layers) == {"Linear", "HeadAttention"}
    assert layers["HeadAttention"].head_count == HEADS
    assert layers["HeadAttention"].scale == pytest.approx(0.5)


def test_the_attention_that_steelyard_import_writes_is_one_layer(tmp_path: Path) -> None:
    class Attention(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))

        def forward(self, x: Any) -> Any:
            split = [part(x).view(x.shape[0], 5, HEADS, -1).transpose(1, 2) for part in self.parts[:3]]
            made = torch.nn.functional.scaled_dot_product_attention(*split)
            return self.parts[3](made.transpose(1, 2).reshape(x.shape[0], 5, WIDTH))

    form = TensorForm(name="x", dtype="float32", shape=(None, 5, WIDTH), sample_shape=(2, 5, WIDTH))
    export_onnx(Attention(), Interface(inputs=(form,), output_names=("y",)), tmp_path / "m.onnx", folded=False)
    lifted = lift_checked(tmp_path / "m.onnx")
    layers = {type(child).__name__: child for child in lifted.module.children()}
    assert layers["HeadAttention"].head_count == HEADS
    assert layers["HeadAttention"].scale == pytest.approx((WIDTH / HEADS) ** -0.5)


def test_heads_can_be_taken_out_by_cutting_the_projections_and_the_count(tmp_path: Path) -> None:
    lifted = lift_checked(encoder(tmp_path / "m.onnx", masked=False, two_turns=False))
    module, kept = lifted.module, WIDTH // HEADS * 2
    query, key, value, attention, output = module.children()
    with torch.no_grad():
        for layer in (query, key, value):
            layer.weight = torch.nn.Parameter(layer.weight[:kept])
            layer.bias = torch.nn.Parameter(layer.bias[:kept])
        output.weight = torch.nn.Parameter(output.weight[:, :kept])
    attention.head_count = 2
    assert module(torch.randn(2, 5, WIDTH)).shape == (2, 5, WIDTH)


def test_what_only_looks_like_attention_over_samples_is_lifted_as_it_is(tmp_path: Path) -> None:
    path = encoder(tmp_path / "m.onnx", masked=False, two_turns=False, flat=True)
    lifted = lift_checked(path)
    assert not lifted.takes_any_batch
    assert {type(child).__name__ for child in lifted.module.children()} == {"Linear"}


OPERATORS = {
    "three-axes": ({"q_num_heads": 4, "kv_num_heads": 4}, [12, 12], None),
    "scaled": ({"q_num_heads": 4, "kv_num_heads": 4, "scale": 0.3}, [12, 12], np.float32),
    "grouped": ({"q_num_heads": 4, "kv_num_heads": 2}, [12, 6], np.float32),
    "causal": ({"q_num_heads": 4, "kv_num_heads": 4, "is_causal": 1}, [12, 12], None),
    "four-axes": ({}, [4, 4], np.bool_),
    "four-axes-grouped": ({"scale": 0.3, "is_causal": 1}, [4, 2], None),
}


@pytest.mark.parametrize(("attributes", "widths", "mask"), OPERATORS.values(), ids=OPERATORS)
def test_the_standard_operator_is_lifted_in_each_of_its_forms(
    tmp_path: Path, attributes: dict[str, Any], widths: list[int], mask: Any
) -> None:
    has_heads = "q_num_heads" not in attributes
    shapes = [
        ["N", width, steps, 3] if has_heads else ["N", steps, width]
        for steps, width in ((5, widths[0]), (7, widths[1]))
    ]
    stored = {} if mask is None else {"mask": (drawn(5, 7) > -1).astype(mask)}
    nodes = [
        node("Mul", "keys two", "values"),
        node("Attention", "queries keys values" + (" mask" if stored else ""), "y", **attributes),
    ]
    inputs = {"queries": shapes[0], "keys": shapes[1]}
    path = write(tmp_path / "m.onnx", nodes, inputs, {"y": shapes[0]}, {**stored, "two": np.float32(2)}, opset=23)
    layers = [type(child).__name__ for child in lift_checked(path).module.children()]
    is_layer = widths == [12, 12] and "is_causal" not in attributes
    assert layers == ["HeadAttention"] * is_layer


def test_scores_that_are_an_output_are_refused(tmp_path: Path) -> None:
    attending = onnx.helper.make_node("Attention", ["queries", "keys", "keys"], ["y", "", "", "scores"])
    queries, keys = ["N", 4, 5, 3], ["N", 4, 7, 3]
    outputs = {"y": queries, "scores": ["N", 4, 5, 7]}
    path = write(tmp_path / "m.onnx", [attending], {"queries": queries, "keys": keys}, outputs, opset=23)
    with pytest.raises(LiftError, match="scores that are an output") as caught:
        lift_checked(path)
    assert caught.value.reason == "unsupported_form"

"""Recurrent layers lose channels of all gates, and stay whole where their channels cannot be followed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.train.export.onnx_program import export_lifted
from steelyard.train.lift import lift_checked
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.prune.costs import multiply_accumulates
from steelyard.train.prune.importances import importance_of
from steelyard.train.prune.pruner import Pruner, PruneRules
from steelyard.train.prune.statistics import Statistics
from tests.controller.train.lift.graphs import drawn, node, write

pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

GATES = {"LSTM": 4, "GRU": 3}


def recurrent(path: Path, *, kind: str = "LSTM", gives_state: bool = False, takes_state: bool = False) -> Path:
    """Write x [N, 7, 4] -> logits [N, 2]: a linear layer, a recurrent one, and two linear ones."""
    gates = GATES[kind]
    stored = {"before": drawn(4, 6), "offset": drawn(6), "w": drawn(1, gates * 8, 6), "r": drawn(1, gates * 8, 8)}
    stored |= {"b": drawn(1, gates * 16), "axis": np.array([0]), "wide": drawn(10, 8), "head": drawn(2, 10)}
    nodes = [
        node("Transpose", "x", "steps", perm=[1, 0, 2]),
        node("MatMul", "steps before", "product"),
        node("Add", "product offset", "given"),
        node(
            kind,
            "given w r b" + (" - h c" if takes_state else ""),
            "- last",
            hidden_size=8,
            **({"linear_before_reset": 1} if kind == "GRU" else {}),
        ),
        node("Squeeze", "last axis", "state"),
        node("Gemm", "state wide", "inner", transB=1),
        node("Relu", "inner", "active"),
        node("Gemm", "active head", "logits", transB=1),
    ]
    states = {name: [1, "N", 8] for name in ("h", "c")} if takes_state else {}
    outputs = {"logits": ["N", 2]} | ({"last": [1, "N", 8]} if gives_state else {})
    return write(path, nodes, {"x": ["N", 7, 4]} | states, outputs, stored)


@pytest.mark.parametrize(
    ("network", "widths", "why"),
    [
        ({}, {"LSTM.layer": (8, 4), "product_MatMul": (6, 3), "inner_Gemm": (10, 5)}, ""),
        ({"gives_state": True}, {"product_MatMul": (6, 3), "inner_Gemm": (10, 5)}, "it gives an output of the model"),
        ({"takes_state": True}, {"product_MatMul": (6, 3), "inner_Gemm": (10, 5)}, "its first state is given"),
        ({"kind": "GRU"}, {"inner_Gemm": (10, 5)}, "GRU reads it, of which channels are not known"),
    ],
    ids=["lstm", "gives its state", "takes its state", "gru"],
)
def test_half_of_the_channels_go_where_they_can_be_followed(
    tmp_path: Path, network: dict[str, object], widths: dict[str, tuple[int, int]], why: str
) -> None:
    path = recurrent(tmp_path / "m.onnx", **network)
    shapes = {"x": (2, 7, 4)} | (dict.fromkeys(("h", "c"), (1, 2, 8)) if "takes_state" in network else {})
    lifted = lift_checked(path, shapes=shapes)
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)
    pruner = Pruner(lifted, importance_of("l2"), statistics, PruneRules(scope="layer"))
    made = pruner.pruned(0.5, multiply_accumulates)
    assert made.widths == widths
    assert not why or why in pruner.left.values()
    # The file is held against the module.
    assert export_lifted(made.lifted, tmp_path / "pruned.onnx").difference < 1e-4


def test_what_stays_of_an_lstm_is_what_it_was(tmp_path: Path) -> None:
    lifted = lift_checked(recurrent(tmp_path / "m.onnx"))
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)
    pruner = Pruner(lifted, importance_of("l2"), statistics, PruneRules(scope="layer", keep=("product*", "inner*")))
    made = pruner.pruned(0.25, multiply_accumulates)
    before, after = (one.module.get_submodule("LSTM").layer for one in (lifted, made.lifted))
    kept = [
        channel
        for channel in range(8)
        if any(np.array_equal(before.bias_ih_l0.detach()[channel], one) for one in after.bias_ih_l0.detach()[:6])
    ]
    assert len(kept) == 6
    gates = before.weight_hh_l0.detach().numpy().reshape(4, 8, 8)[:, kept][:, :, kept]
    np.testing.assert_array_equal(after.weight_hh_l0.detach().numpy().reshape(4, 6, 6), gates)


def test_a_transposed_convolution_in_groups_stays_whole(tmp_path: Path) -> None:
    stored = {"first": drawn(8, 1, 3, 3), "up": drawn(8, 4, 2, 2), "last": drawn(6, 8, 3, 3), "head": drawn(2, 6)}
    nodes = [
        node("Conv", "image first", "a", pads=[1, 1, 1, 1]),
        node("ConvTranspose", "a up", "b", strides=[2, 2], group=2),
        node("Conv", "b last", "c"),
        node("GlobalAveragePool", "c", "d"),
        node("Flatten", "d", "e", axis=1),
        node("Gemm", "e head", "logits", transB=1),
    ]
    lifted = lift_checked(write(tmp_path / "m.onnx", nodes, {"image": ["N", 1, 8, 8]}, {"logits": ["N", 2]}, stored))
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)
    pruner = Pruner(lifted, importance_of("l2"), statistics, PruneRules(scope="layer"))
    assert pruner.pruned(0.5, multiply_accumulates).widths == {"c_Conv": (6, 3)}
    assert "a transposed convolution divides it into groups" in pruner.left.values()

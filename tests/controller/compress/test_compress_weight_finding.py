"""Stored weights are found with all their readers, in the right graph, and graphs are changed without side effects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.steps.low_rank import LowRank
from steelyard.compress.steps.share_weights import ShareWeights
from steelyard.compress.steps.sparsify import Sparsify
from steelyard.compress.steps.weight_only import WeightOnly
from steelyard.compress.weights import editing
from steelyard.compress.weights.editing import GraphEdit, left_note, storage_note, write_model
from steelyard.compress.weights.finding import WEIGHT_OPS, find_weights, refuse_idle_globs
from tests.controller.compress.weight_models import (
    applied,
    branch_model,
    drawn,
    matmul_model,
    recurrent_model,
    run,
    saved,
    shared_model,
    tensor,
)


def test_weights_of_branches_with_one_name_are_two_weights(tmp_path: Path) -> None:
    path = branch_model(tmp_path / "m.onnx", drawn(6, 5, seed=1), drawn(6, 5, seed=2))
    model = onnx.load_model(path)
    found = find_weights(model, ["MatMul"])
    assert [weight.name for weight in found] == ["outer", "inner", "inner"]
    assert not np.array_equal(found[1].values(), found[2].values())
    assert all(len(weight.uses) == 1 for weight in found)


def test_a_branch_reads_a_weight_of_the_graph_around_it(tmp_path: Path) -> None:
    path = branch_model(tmp_path / "m.onnx", drawn(6, 6, seed=1), drawn(6, 6, seed=2))
    model = onnx.load_model(path)
    (branches,) = [node for node in model.graph.node if node.op_type == "If"]
    branches.attribute[0].g.node[0].input[1] = "outer"
    found = {weight.name: weight for weight in find_weights(model, ["MatMul"])}
    assert len(found["outer"].uses) == 2
    assert {use.graph.name for use in found["outer"].uses} == {"g", "branch"}


def test_constants_are_weights_and_biases_shapes_and_short_vectors_are_not(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], value=tensor("", drawn(4, 3))),
        helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
        helper.make_node("Add", ["h", "offsets"], ["y"]),
    ]
    weights = [tensor("b", drawn(1, 3)), tensor("offsets", drawn(1, 3))]
    path = saved(tmp_path / "m.onnx", nodes, {"x": [1, 4]}, {"y": [1, 3]}, weights)
    (weight,) = find_weights(onnx.load_model(path), WEIGHT_OPS)
    assert (weight.name, weight.constant_index, weight.has_other_uses) == ("w", 0, False)


def test_a_weight_that_is_also_added_or_given_out_has_other_uses(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "w"], ["y"])]
    path = saved(tmp_path / "m.onnx", nodes, {"x": [4, 4]}, {"y": [4, 4], "w": [4, 4]}, [tensor("w", drawn(4, 4))])
    (weight,) = find_weights(onnx.load_model(path), ["MatMul"])
    assert weight.has_other_uses
    assert weight.is_output
    assert len(weight.uses) == 2


def test_names_of_nodes_and_tensors_match_patterns(tmp_path: Path) -> None:
    (weight,) = find_weights(onnx.load_model(matmul_model(tmp_path / "m.onnx", drawn(4, 3))), ["MatMul"])
    assert weight.matches(["prod*"])
    assert weight.matches(["no", "w"])
    assert not weight.matches(["prod", "W"])


def test_a_pattern_that_fits_nothing_is_refused_with_names_that_are_there(tmp_path: Path) -> None:
    weights = find_weights(onnx.load_model(matmul_model(tmp_path / "m.onnx", drawn(4, 3))), ["MatMul"])
    refuse_idle_globs(weights, ["prod*", "w"], "sparsify: keep")
    with pytest.raises(CompressionInputError, match=r"sparsify: keep has 'head', .* there are 'w'") as caught:
        refuse_idle_globs(weights, ["w", "head"], "sparsify: keep")
    assert caught.value.reason == "unknown_operator"
    for step in (Sparsify(keep=("head",)), LowRank(keep=("head",)), ShareWeights(keep=("head",))):
        with pytest.raises(CompressionInputError, match="'head'"):
            applied(step, matmul_model(tmp_path / "m.onnx", drawn(40, 30)))
    with pytest.raises(CompressionInputError, match="weight-only: keep_float has 'head'"):
        applied(WeightOnly(keep_float=("head",)), matmul_model(tmp_path / "m.onnx", drawn(40, 30)))


def test_recurrent_layers_have_two_weights(tmp_path: Path) -> None:
    found = find_weights(onnx.load_model(recurrent_model(tmp_path / "m.onnx")), ["LSTM"])
    assert [weight.name for weight in found] == ["kernel", "recurrence"]


def test_values_keep_their_type_and_another_shape_is_a_mistake(tmp_path: Path) -> None:
    model = onnx.load_model(matmul_model(tmp_path / "m.onnx", drawn(4, 3)))
    (weight,) = find_weights(model, ["MatMul"])
    weight.set_values(np.ones((4, 3)))
    assert numpy_helper.to_array(model.graph.initializer[0]).dtype == np.float32
    assert numpy_helper.to_array(model.graph.initializer[0]).sum() == 12
    with pytest.raises(AssertionError, match=r"\(3, 4\)"):
        weight.set_values(np.ones((3, 4)))


def test_a_node_in_a_branch_and_one_around_it_are_replaced_together(tmp_path: Path) -> None:
    path = branch_model(tmp_path / "m.onnx", drawn(6, 5, seed=1), drawn(6, 5, seed=2))
    model = onnx.load_model(path)
    edit = GraphEdit(model)
    for weight in find_weights(model, ["MatMul"]):
        name = edit.store(weight.graph, f"{weight.name}_doubled", 2 * weight.values())
        (use,) = weight.uses
        edit.replace_node(use, [helper.make_node("MatMul", [use.node.input[0], name], list(use.node.output))])
        edit.remove(weight)
    edit.apply()
    out = tmp_path / "out.onnx"
    write_model(model, out)
    for sign in (1, -1):
        x = sign * np.abs(drawn(2, 6, seed=3))
        np.testing.assert_allclose(run(out, x=x), 4 * run(path, x=x), rtol=1e-5)
    names = [one.name for weight in find_weights(model, ["MatMul"]) for one in weight.graph.initializer]
    assert "inner" not in names


def test_a_weight_that_is_computed_keeps_its_name_for_all_its_readers(tmp_path: Path) -> None:
    path = shared_model(tmp_path / "m.onnx", drawn(5, 5))
    model = onnx.load_model(path)
    (weight,) = find_weights(model, ["MatMul"])
    edit = GraphEdit(model)
    half = edit.store(weight.graph, "half", weight.values() / 2)
    edit.compute(weight, [helper.make_node("Add", [half, half], ["w"])])
    edit.apply()
    write_model(model, tmp_path / "out.onnx")
    x = drawn(2, 5, seed=1)
    np.testing.assert_allclose(run(tmp_path / "out.onnx", x=x), run(path, x=x), rtol=1e-6)


def test_free_names_are_taken_once(tmp_path: Path) -> None:
    edit = GraphEdit(onnx.load_model(matmul_model(tmp_path / "m.onnx", drawn(4, 3))))
    assert [edit.free_name(wish) for wish in ("w", "w", "new", "new", "product")] == [
        "w_2",
        "w_3",
        "new",
        "new_2",
        "product_2",
    ]


def test_a_model_beyond_two_gibibytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load_model(matmul_model(tmp_path / "m.onnx", drawn(4, 3)))
    monkeypatch.setattr(editing, "MOST_BYTES", 100)
    with pytest.raises(CompressionInputError, match="2 GiB") as caught:
        write_model(model, tmp_path / "out.onnx")
    assert caught.value.reason == "too_large"
    assert not (tmp_path / "out.onnx").exists()


def test_storage_is_told_as_it_is_and_deflated(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(drawn(1000).tobytes())
    (tmp_path / "b").write_bytes(bytes(4000))
    note = storage_note(tmp_path / "a", tmp_path / "b")
    assert note.startswith("the file has 4,000 bytes, 4,000 before; DEFLATEd ")
    deflated = int(note.split("DEFLATEd ")[1].split(",")[0])
    assert deflated < 50


def test_what_was_left_is_told_once_a_reason() -> None:
    left = {"a": "small", "b": "small", "c": "small", "d": "small", "e": "kept"}
    assert left_note(left) == (
        "left as they were: 'a', 'b', 'c' and 1 more (small)",
        "left as it was: 'e' (kept)",
    )

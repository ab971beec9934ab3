"""Zeros in the weights of ONNX models: exact counts along the right axis, and what is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.steps.sparsify import Sparsify
from tests.controller.compress.weight_models import (
    applied,
    branch_model,
    conv_weights_model,
    drawn,
    embedding_model,
    gemm_model,
    matmul_model,
    recurrent_model,
    run,
    saved,
    shared_model,
    stored,
    tensor,
)
from tests.support.models import conv_model


def _zeros(values: np.ndarray) -> int:
    return int((values == 0).sum())


def test_half_of_the_weights_of_all_layers_together_are_zero_and_they_are_the_smallest(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "a"], ["h"]), helper.make_node("MatMul", ["h", "b"], ["y"])]
    weights = [tensor("a", drawn(6, 8)), tensor("b", 10 * drawn(8, 5, seed=1))]
    model = saved(tmp_path / "m.onnx", nodes, {"x": [1, 6]}, {"y": [1, 5]}, weights)
    made, report = applied(Sparsify(), model)
    before, after = stored(model), stored(made)
    assert _zeros(after["a"]) + _zeros(after["b"]) == 44
    gone = [np.abs(before[name][after[name] == 0]).max(initial=0) for name in "ab"]
    kept = [np.abs(before[name][after[name] != 0]).min(initial=np.inf) for name in "ab"]
    assert max(gone) <= min(kept)
    assert _zeros(after["a"]) > _zeros(after["b"])
    assert report.notes[0] == "44 of 88 weights in 2 tensors are zero (50.0 %)"
    assert "1.00 times" in report.notes[1]
    assert "DEFLATEd" in report.notes[2]


def test_each_layer_has_its_own_half_when_told_so(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "a"], ["h"]), helper.make_node("MatMul", ["h", "b"], ["y"])]
    weights = [tensor("a", drawn(6, 8)), tensor("b", 10 * drawn(8, 5, seed=1))]
    model = saved(tmp_path / "m.onnx", nodes, {"x": [1, 6]}, {"y": [1, 5]}, weights)
    after = stored(applied(Sparsify(scope="layer", sparsity=0.75), model)[0])
    assert (_zeros(after["a"]), _zeros(after["b"])) == (36, 30)


@pytest.mark.parametrize("is_transposed", [True, False])
def test_two_of_four_lie_along_the_inputs_of_a_product(tmp_path: Path, is_transposed: bool) -> None:
    weight = drawn(8, 12) if is_transposed else drawn(12, 8)
    model = gemm_model(tmp_path / "m.onnx", weight, drawn(8, seed=3), transB=int(is_transposed))
    made, report = applied(Sparsify(pattern="2:4"), model)
    after = stored(made)["w"] if is_transposed else stored(made)["w"].T
    groups = after.reshape(8, 3, 4)
    assert ((groups == 0).sum(axis=2) == 2).all()
    before = np.abs((weight if is_transposed else weight.T).reshape(8, 3, 4))
    assert (np.where(groups == 0, before, 0).max(axis=2) <= np.where(groups != 0, before, np.inf).min(axis=2)).all()
    assert report.settings["sparsity"] == 0.5


def test_one_of_four_lies_along_the_input_channels_of_a_convolution(tmp_path: Path) -> None:
    model = conv_weights_model(tmp_path / "m.onnx", drawn(6, 8, 3, 3))
    made, report = applied(Sparsify(pattern="1:4"), model)
    groups = stored(made)["w"].transpose(0, 2, 3, 1).reshape(6, 3, 3, 2, 4)
    assert ((groups == 0).sum(axis=-1) == 3).all()
    assert report.settings["sparsity"] == 0.75


def test_inputs_that_fill_no_group_stay(tmp_path: Path) -> None:
    made, _report = applied(Sparsify(pattern="2:4"), matmul_model(tmp_path / "m.onnx", drawn(10, 3)))
    after = stored(made)["w"]
    assert _zeros(after[:8]) == 12
    assert _zeros(after[8:]) == 0


def test_blocks_are_zero_as_a_whole(tmp_path: Path) -> None:
    weight = drawn(16, 8)
    made, _report = applied(
        Sparsify(pattern="block", block=(4, 2), sparsity=0.25), matmul_model(tmp_path / "m.onnx", weight)
    )
    after = stored(made)["w"].T.reshape(2, 4, 8, 2)
    zeros = (after == 0).sum(axis=(1, 3))
    assert set(zeros.ravel().tolist()) == {0, 8}
    assert int((zeros == 8).sum()) == 4
    energy = (weight.T.reshape(2, 4, 8, 2) ** 2).sum(axis=(1, 3))
    assert energy[zeros == 8].max() <= energy[zeros == 0].min()


def test_of_equal_weights_the_same_ones_go_every_time(tmp_path: Path) -> None:
    model = matmul_model(tmp_path / "m.onnx", np.ones((4, 4), np.float32))
    first = applied(Sparsify(), model)[0].read_bytes()
    assert applied(Sparsify(), model)[0].read_bytes() == first


def test_the_zeroed_model_computes_with_the_zeros(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    made, _report = applied(Sparsify(sparsity=0.02), model)
    image = drawn(2, 1, 12, 12)
    np.testing.assert_allclose(run(made, image=image), run(model, image=image), atol=0.05)
    assert not np.array_equal(run(made, image=image), run(model, image=image))


def test_recurrent_weights_branches_and_shared_weights_are_sparsified_once(tmp_path: Path) -> None:
    made, _report = applied(Sparsify(scope="layer"), recurrent_model(tmp_path / "lstm.onnx"))
    assert [_zeros(values) for values in stored(made).values()] == [384, 512]
    model = branch_model(tmp_path / "branch.onnx", drawn(6, 5, seed=1), drawn(6, 5, seed=2))
    made, report = applied(Sparsify(scope="layer"), model)
    assert report.notes[0].startswith("48 of 96 weights in 3 tensors")
    made, report = applied(Sparsify(), shared_model(tmp_path / "shared.onnx", drawn(6, 6)))
    assert _zeros(stored(made)["w"]) == 18


def test_float16_weights_stay_float16(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    weight = tensor("w", drawn(8, 4).astype(np.float16))
    model = saved(tmp_path / "m.onnx", nodes, {"x": [1, 8]}, {"y": [1, 4]}, [tensor("w", drawn(8, 4))])
    loaded = onnx.load_model(model)
    for value in (*loaded.graph.input, *loaded.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    loaded.graph.initializer[0].CopyFrom(weight)
    onnx.save_model(loaded, model)
    made, _report = applied(Sparsify(), model)
    (after,) = onnx.load_model(made).graph.initializer
    assert after.data_type == TensorProto.FLOAT16
    assert _zeros(numpy_helper.to_array(after)) == 16


def test_what_keep_names_depthwise_layers_and_few_inputs_stay_dense(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    made, report = applied(Sparsify(keep=("kernel1", "wei*")), model)
    after = stored(made)
    assert _zeros(after["kernel0"]) == 36
    assert _zeros(after["kernel1"]) == _zeros(after["weight"]) == 0
    assert "left as they were: 'kernel1', 'weight' (by the setting keep)" in report.notes
    depthwise = conv_weights_model(tmp_path / "d.onnx", drawn(6, 1, 3, 3), group=6)
    with pytest.raises(CompressionInputError, match="has no convolution"):
        applied(Sparsify(), depthwise)
    _made, report = applied(Sparsify(pattern="2:4"), model)
    assert any("'kernel0' (fewer than 4 inputs)" in note for note in report.notes)


def test_a_weight_that_is_read_otherwise_stays_as_it_is(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "w"], ["g"]),
        helper.make_node("MatMul", ["g", "v"], ["y"]),
    ]
    weights = [tensor("w", drawn(4, 4)), tensor("v", drawn(4, 2))]
    model = saved(tmp_path / "m.onnx", nodes, {"x": [4, 4]}, {"y": [4, 2]}, weights)
    made, report = applied(Sparsify(), model)
    assert (_zeros(stored(made)["w"]), _zeros(stored(made)["v"])) == (0, 4)
    assert any("'w' (something reads it" in note for note in report.notes)


def test_embeddings_are_not_sparsified(tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError) as caught:
        applied(Sparsify(), embedding_model(tmp_path / "m.onnx", drawn(20, 8)))
    assert caught.value.reason == "nothing_to_sparsify"


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"sparsity": 0}, "above 0"),
        ({"sparsity": 1.0}, "below 1"),
        ({"sparsity": "half"}, "number"),
        ({"pattern": "4:2"}, "smaller first"),
        ({"pattern": "0:4"}, "smaller first"),
        ({"pattern": "blocks"}, "did you mean 'block'"),
        ({"pattern": "2:4", "sparsity": 0.8}, "leave sparsity out"),
        ({"block": (2, 2)}, 'pattern = "block"'),
        ({"pattern": "block", "block": (2,)}, "two sizes"),
        ({"pattern": "block", "block": (0, 1)}, "1 or more"),
        ({"scope": "all"}, "layer"),
        ({"keep": "head"}, "list of patterns"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        Sparsify(**settings)

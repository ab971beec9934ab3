"""Folding leaves what a model computes, and takes out what quantizers cannot use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.errors import CompressionError
from steelyard.compress.folding import fold, opset_of
from steelyard.compress.preparation.batchnorm import fold_batchnorms
from steelyard.compress.preparation.gemm import plain_gemms
from steelyard.compress.preparation.node_names import name_nodes
from steelyard.compress.steps.fold import Fold
from tests.controller.compress.int8_models import Graph, applied, drawn, mlp, ops, outputs, shortcut_cnn, transformer


def _folded(model: Path, **options: int) -> Path:
    path = model.with_name("folded.onnx")
    fold(model, path, **options)
    return path


def _conv(net: Graph) -> tuple[tuple[int, ...], str, list[object]]:
    net.batchnorm(net.conv("x", "layer", 4, 6, group=2), "y", 6)
    return (4, 8, 8), "y", ["batch", 6, 8, 8]


def _conv_without_bias(net: Graph) -> tuple[tuple[int, ...], str, list[object]]:
    net.batchnorm(net.node("Conv", ["x", net.drawn("w", 5, 4, 1, 1)], "layer"), "y", 5)
    return (4, 8, 8), "y", ["batch", 5, 8, 8]


def _transposed(net: Graph) -> tuple[tuple[int, ...], str, list[object]]:
    net.node("ConvTranspose", ["x", net.drawn("w", 4, 3, 2, 2), net.drawn("b", 6)], "layer", group=2, strides=[2, 2])
    net.batchnorm("layer", "y", 6)
    return (4, 8, 8), "y", ["batch", 6, 16, 16]


def _gemm(net: Graph) -> tuple[tuple[int, ...], str, list[object]]:
    net.node("Gemm", ["x", net.drawn("w", 5, 4), net.drawn("b", 5)], "layer", transB=1)
    net.batchnorm("layer", "y", 5)
    return (4,), "y", ["batch", 5]


def _before_conv(net: Graph) -> tuple[tuple[int, ...], str, list[object]]:
    net.conv(net.batchnorm("x", "normed", 4), "y", 4, 6, group=2, pads=[0] * 4)
    return (4, 8, 8), "y", ["batch", 6, 6, 6]


def _before_gemm(net: Graph) -> tuple[tuple[int, ...], str, list[object]]:
    net.node("Gemm", [net.batchnorm("x", "normed", 4), net.drawn("w", 4, 5), net.drawn("b", 5)], "y")
    return (4,), "y", ["batch", 5]


@pytest.mark.parametrize(
    "build", [_conv, _conv_without_bias, _transposed, _gemm, _before_conv, _before_gemm], ids=lambda one: one.__name__
)
def test_a_batchnorm_goes_into_its_neighbour_and_the_outputs_stay(
    tmp_path: Path, build: Callable[[Graph], tuple[tuple[int, ...], str, list[object]]]
) -> None:
    net = Graph(3)
    shape, output, output_shape = build(net)
    model = net.write(tmp_path / "m.onnx", [("x", ["batch", *shape])], (output, output_shape))
    stored = onnx.load_model(model)
    assert fold_batchnorms(stored) == 1
    onnx.checker.check_model(stored)
    onnx.save_model(stored, tmp_path / "folded.onnx")
    assert not ops(tmp_path / "folded.onnx")["BatchNormalization"]
    feed = {"x": drawn(3, *shape)}
    np.testing.assert_allclose(outputs(tmp_path / "folded.onnx", feed), outputs(model, feed), rtol=1e-4, atol=1e-5)


def test_a_batchnorm_in_front_of_a_padded_convolution_stays(tmp_path: Path) -> None:
    net = Graph()
    net.conv(net.batchnorm("x", "normed", 4), "y", 4, 6)
    stored = onnx.load_model(net.write(tmp_path / "m.onnx", [("x", [1, 4, 8, 8])], ("y", [1, 6, 8, 8])))
    assert fold_batchnorms(stored) == 0
    assert [node.op_type for node in stored.graph.node] == ["BatchNormalization", "Conv"]


def test_a_batchnorm_behind_a_layer_that_others_read_stays(tmp_path: Path) -> None:
    net = Graph()
    net.conv("x", "layer", 4, 6)
    net.node("Add", ["layer", net.batchnorm("layer", "normed", 6)], "y")
    stored = onnx.load_model(net.write(tmp_path / "m.onnx", [("x", [1, 4, 8, 8])], ("y", [1, 6, 8, 8])))
    assert fold_batchnorms(stored) == 0


def test_weights_that_two_layers_share_are_changed_for_one(tmp_path: Path) -> None:
    net = Graph()
    weight = net.drawn("shared", 4, 4, 1, 1)
    normed = net.batchnorm(net.node("Conv", ["x", weight], "first"), "normed", 4)
    net.node("Conv", [normed, weight], "y")
    model = net.write(tmp_path / "m.onnx", [("x", [1, 4, 8, 8])], ("y", [1, 4, 8, 8]))
    stored = onnx.load_model(model)
    assert fold_batchnorms(stored) == 1
    onnx.save_model(stored, tmp_path / "folded.onnx")
    feed = {"x": drawn(1, 4, 8, 8)}
    np.testing.assert_allclose(outputs(tmp_path / "folded.onnx", feed), outputs(model, feed), rtol=1e-4, atol=1e-5)


def test_factors_of_gemm_go_into_its_weights(tmp_path: Path) -> None:
    net = Graph()
    net.node("Gemm", ["x", net.drawn("w", 4, 5), net.drawn("b", 1, 5)], "y", alpha=0.25, beta=3.0)
    model = net.write(tmp_path / "m.onnx", [("x", ["batch", 4])], ("y", ["batch", 5]))
    stored = onnx.load_model(model)
    plain_gemms(stored)
    assert not [one.name for one in stored.graph.node[0].attribute if one.name in {"alpha", "beta"}]
    assert [list(tensor.dims) for tensor in stored.graph.initializer if tensor.name == "b"] == [[5]]
    onnx.save_model(stored, tmp_path / "folded.onnx")
    feed = {"x": drawn(3, 4)}
    np.testing.assert_allclose(outputs(tmp_path / "folded.onnx", feed), outputs(model, feed), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("build", "feed"),
    [
        (shortcut_cnn, {"image": drawn(2, 1, 12, 12)}),
        (mlp, {"x": drawn(2, 24)}),
        (transformer, {"x": drawn(2, 6, 32)}),
    ],
)
@pytest.mark.parametrize("opset", [17, 21, 22])
def test_folding_leaves_the_outputs_and_gives_the_same_bytes(
    tmp_path: Path, build: Callable[..., Path], feed: dict[str, np.ndarray], opset: int
) -> None:
    model = build(tmp_path / "m.onnx", opset=opset)
    digests = {hashlib.sha256(_folded(model).read_bytes()).hexdigest() for _ in range(2)}
    assert len(digests) == 1
    np.testing.assert_allclose(outputs(_folded(model), feed), outputs(model, feed), rtol=1e-3, atol=1e-4)
    stored = onnx.load_model(_folded(model))
    names = [node.name for node in stored.graph.node]
    assert len(set(names)) == len(names)
    assert all(names)
    assert {path.name for path in tmp_path.iterdir()} == {"m.onnx", "folded.onnx"}


def test_a_model_of_opset_seven_with_its_weights_as_inputs_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((6, 2, 3, 3)), "b": rng.standard_normal(6)}
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w", "b"], ["c"]), helper.make_node("Relu", ["c"], ["y"])],
        "old",
        [
            value("x", TensorProto.FLOAT, [1, 2, 8, 8]),
            *(value(tensor.name, TensorProto.FLOAT, tensor.dims) for tensor in stored),
        ],
        [value("y", TensorProto.FLOAT, [1, 6, 6, 6])],
        stored,
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 7)], ir_version=3), path)
    made = onnx.load_model(_folded(path, min_opset=13))
    assert opset_of(made) == 13
    assert [one.name for one in made.graph.input] == ["x"]
    feed = {"x": drawn(1, 2, 8, 8)}
    np.testing.assert_allclose(outputs(tmp_path / "folded.onnx", feed), outputs(path, feed), rtol=1e-4, atol=1e-5)


def _hard_swish(path: Path, *, by_product: bool = False, upper: float = 6.0, is_read_twice: bool = False) -> Path:
    net = Graph()
    added = net.node("Add", ["x", net.store("three", 3.0)], "added")
    clipped = net.node("Clip", [added, net.store("zero", 0.0), net.store("six", upper)], "clipped")
    product = net.node("Mul", [clipped, "x"], "product")
    net.node(
        *(("Mul", [product, net.store("sixth", 1 / 6)]) if by_product else ("Div", [product, net.store("width", 6.0)])),
        "swished",
    )
    net.node("Add", ["swished", clipped if is_read_twice else "x"], "y")
    return net.write(path, [("x", ["batch", 8])], ("y", ["batch", 8]))


@pytest.mark.parametrize("by_product", [False, True])
def test_a_hard_swish_in_pieces_becomes_whole(tmp_path: Path, by_product: bool) -> None:
    model = _hard_swish(tmp_path / "m.onnx", by_product=by_product)
    assert ops(_folded(model)) == {"HardSigmoid": 1, "Mul": 1, "Add": 1}
    feed = {"x": drawn(4, 8) * 4}
    np.testing.assert_allclose(outputs(_folded(model), feed), outputs(model, feed), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{"upper": 5.0}, {"is_read_twice": True}])
def test_what_is_no_hard_swish_or_is_read_elsewhere_stays_in_pieces(tmp_path: Path, options: dict[str, Any]) -> None:
    found = ops(_folded(_hard_swish(tmp_path / "m.onnx", **options)))
    assert (found["HardSigmoid"], found["Clip"], found["Div"]) == (0, 1, 1)


def test_nodes_keep_their_names_and_others_get_one_of_their_own() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="mine"),
        helper.make_node("Relu", ["a"], ["b"], name="mine"),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"], name="Relu_c"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [], []))
    name_nodes(model)
    assert [node.name for node in model.graph.node] == ["mine", "Relu_b", "Relu_c", "Relu_d"]


def test_the_step_says_what_it_left(tmp_path: Path) -> None:
    model = shortcut_cnn(tmp_path / "m.onnx")
    made, report = applied(Fold(), model)
    assert "0 of 1 BatchNormalization" in report.notes[0]
    assert ops(made).total() < ops(model).total()


@pytest.mark.parametrize("build", [shortcut_cnn, transformer])
def test_onnxslim_is_kept_only_where_the_outputs_agree(
    tmp_path: Path, build: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxslim

    model = build(tmp_path / "m.onnx")
    made, report = applied(Fold(slim=True), model)
    assert len(report.notes) == 1, report.notes
    assert any(version.startswith("onnxslim ") for version in report.tool_versions)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    applied(Fold(slim=True), model)
    assert hashlib.sha256(made.read_bytes()).hexdigest() == digest

    def spoil(stored: onnx.ModelProto) -> onnx.ModelProto:
        tensor = next(one for one in stored.graph.initializer if one.name.endswith("_b"))
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 1, tensor.name))
        return stored

    monkeypatch.setattr(onnxslim, "slim", spoil)
    _, report = applied(Fold(slim=True), model)
    assert "is not what it was" in report.notes[1]


def test_an_opset_that_nobody_knows_is_refused_with_the_last_one(tmp_path: Path) -> None:
    model = shortcut_cnn(tmp_path / "m.onnx")
    with pytest.raises(CompressionError, match=f"opset 99 is newer than {onnx.defs.onnx_opset_version()}, the last"):
        applied(Fold(min_opset=99), model)

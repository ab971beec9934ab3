"""Counts against loops that do every multiplication one by one, over random small models."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from steelyard.layers.read import read_layers

_SIZES = st.integers(1, 4)


def _count(
    nodes: list, inputs: dict[str, tuple], weights: dict[str, np.ndarray], *, evaluates: bool = True
) -> tuple[list, dict]:
    """Return the counts of a model of these nodes, and the shapes that the reference evaluator makes."""
    graph = helper.make_graph(
        nodes,
        "random",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_empty_tensor_value_info(node.output[0]) for node in nodes],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    shapes = {}
    if evaluates:
        zeros = {name: np.zeros(shape, np.float32) for name, shape in inputs.items()}
        values = ReferenceEvaluator(model).run(None, zeros)
        shapes = {node.output[0]: value.shape for node, value in zip(nodes, values, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        onnx.save(model, str(path))
        table = read_layers(path)
    return [layer.mac_count for layer in table.layers], shapes


@settings(deadline=None, max_examples=60)
@given(
    groups=st.integers(1, 3),
    per_group=st.tuples(_SIZES, _SIZES),
    size=st.integers(5, 8),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    pad=st.integers(0, 1),
)
def test_convolutions_with_groups_strides_and_dilations(
    groups: int, per_group: tuple[int, int], size: int, kernel: int, stride: int, dilation: int, pad: int
) -> None:
    given_channels, made_channels = groups * per_group[0], groups * per_group[1]
    weight = np.zeros((made_channels, per_group[0], kernel, kernel), np.float32)
    node = helper.make_node(
        *("Conv", ["x", "w"], ["y"]),
        group=groups,
        strides=[stride] * 2,
        dilations=[dilation] * 2,
        pads=[pad] * 4,
    )
    (counted,), shapes = _count([node], {"x": (1, given_channels, size, size)}, {"w": weight})
    products = 0
    for _channel, _row, _column in itertools.product(*(range(n) for n in shapes["y"][1:])):
        for _input, _tap_row, _tap_column in itertools.product(range(per_group[0]), range(kernel), range(kernel)):
            products += 1
    assert counted == products


@settings(deadline=None, max_examples=40)
@given(groups=st.integers(1, 2), per_group=st.tuples(_SIZES, _SIZES), size=_SIZES, kernel=st.integers(1, 3))
def test_transposed_convolutions(groups: int, per_group: tuple[int, int], size: int, kernel: int) -> None:
    channels = groups * per_group[0]
    weight = np.zeros((channels, per_group[1], kernel, kernel), np.float32)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], group=groups, strides=[2, 2])
    # The evaluator of onnx 1.23 cannot do groups here.
    (counted,), _ = _count([node], {"x": (1, channels, size, size)}, {"w": weight}, evaluates=False)
    products = 0
    for _element in itertools.product(range(channels), range(size), range(size)):
        for _tap in itertools.product(range(per_group[1]), range(kernel), range(kernel)):
            products += 1
    assert counted == products


@settings(deadline=None, max_examples=60)
@given(batch=st.lists(_SIZES, max_size=2), rows=_SIZES, depth=_SIZES, columns=_SIZES, broadcast=st.booleans())
def test_matrix_products_with_batches_that_broadcast(
    batch: list[int], rows: int, depth: int, columns: int, broadcast: bool
) -> None:
    right = [1] * len(batch) if broadcast else batch
    inputs = {"a": (*batch, rows, depth), "b": (*right, depth, columns)}
    (counted,), shapes = _count([helper.make_node("MatMul", ["a", "b"], ["y"])], inputs, {})
    products = sum(1 for _ in itertools.product(*(range(n) for n in shapes["y"]), range(depth)))
    assert counted == products


@settings(deadline=None, max_examples=40)
@given(rows=_SIZES, depth=_SIZES, columns=_SIZES, left=st.booleans(), right=st.booleans())
def test_gemms_turned_either_way(rows: int, depth: int, columns: int, left: bool, right: bool) -> None:
    inputs = {"a": (depth, rows) if left else (rows, depth)}
    weight = np.zeros((columns, depth) if right else (depth, columns), np.float32)
    node = helper.make_node("Gemm", ["a", "w"], ["y"], transA=int(left), transB=int(right))
    (counted,), _ = _count([node], inputs, {"w": weight})
    assert counted == sum(1 for _ in itertools.product(range(rows), range(depth), range(columns)))


@settings(deadline=None, max_examples=30)
@given(letters=st.permutations("abcd"), sizes=st.lists(_SIZES, min_size=4, max_size=4))
def test_einsums_of_two_operands(letters: list[str], sizes: list[int]) -> None:
    size = dict(zip("abcd", sizes, strict=True))
    left, right = letters[:3], letters[1:]
    made = [letters[0], letters[3]]
    equation = f"{''.join(left)},{''.join(right)}->{''.join(made)}"
    inputs = {"p": tuple(size[one] for one in left), "q": tuple(size[one] for one in right)}
    (counted,), _ = _count([helper.make_node("Einsum", ["p", "q"], ["y"], equation=equation)], inputs, {})
    assert counted == sum(1 for _ in itertools.product(*(range(n) for n in sizes)))

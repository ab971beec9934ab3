"""Operators without weights: in the forms that they had from opset 7 on, each beside onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from steelyard.train.lift import lift_checked
from tests.controller.train.lift.graphs import drawn, node, write

pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

X = ["N", 4, 6, 6]
AXES, SPLIT = np.array([2, 3]), np.array([1, 3])


def case(kind: str, opset: int = 17, stored: dict[str, Any] | None = None, **attributes: Any) -> Any:
    """A test of one operator that reads x and what is stored."""
    return pytest.param(kind, opset, stored or {}, attributes, id=f"{kind}-{opset}-{'-'.join(map(str, attributes))}")


CASES = [
    *(case(kind) for kind in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "Erf", "Abs", "Neg")),
    *(case(kind) for kind in ("Exp", "Floor", "Ceil", "Round", "Sign", "Sin", "GlobalAveragePool", "GlobalMaxPool")),
    case("LeakyRelu", alpha=0.2),
    case("Elu", alpha=0.7),
    case("Celu", alpha=0.7),
    case("Selu"),
    case("HardSigmoid", alpha=0.3, beta=0.4),
    case("ThresholdedRelu", alpha=0.3),
    case("Mish", 18),
    case("Gelu", 20),
    case("Gelu", 20, approximate="tanh"),
    case("Clip", 7, min=-0.5, max=0.5),
    case("Clip", 13, {"low": np.float32(0), "high": np.float32(6)}),
    case("Softmax", 11, axis=1),
    case("Softmax", 13, axis=1),
    case("LogSoftmax", 13, axis=-1),
    case("Hardmax", 13, axis=1),
    case("Dropout", 7, ratio=0.3),
    case("Dropout", 13, {"ratio": np.float32(0.3)}),
    case("Add", 17, {"other": drawn(4, 1, 1)}),
    case("Pow", 17, {"exponent": np.float32(2)}),
    case("Div", 17, {"other": np.float32(3)}),
    case("Max", 17, {"other": drawn(6)}),
    case("Mean", 17, {"other": drawn(6), "more": drawn(6, 6)}),
    case("ReduceMean", 11, axes=[2, 3], keepdims=0),
    case("ReduceMean", 18, {"axes": AXES}, keepdims=0),
    case("ReduceSum", 11, axes=[1]),
    case("ReduceSum", 13, {"axes": np.array([-1])}),
    case("ReduceMax", 17, axes=[1]),
    case("ReduceL2", 17, axes=[1]),
    case("ReduceLogSumExp", 17, axes=[1]),
    case("ReduceProd", 17, axes=[1, 2]),
    case("CumSum", 17, {"axis": np.int64(1)}, exclusive=1, reverse=1),
    case("Flatten", 9, axis=1),
    case("Flatten", 13, axis=-2),
    case("Transpose", 17, perm=[0, 2, 3, 1]),
    case("Unsqueeze", 11, axes=[1, 4]),
    case("Unsqueeze", 13, {"axes": np.array([1, -1])}),
    case("Tile", 17, {"repeats": np.array([1, 2, 1, 3])}),
    case("Expand", 17, {"shape": np.array([2, 1, 4, 6, 6])}),
    case("Pad", 7, pads=[0, 0, 1, 2, 0, 0, 3, 0], value=0.5),
    case("Pad", 13, {"pads": np.array([0, 0, 1, 2, 0, 0, 3, 0])}, mode="reflect"),
    case("Pad", 18, {"pads": np.array([1, 2]), "value": np.float32(1), "axes": np.array([3])}),
    case("Slice", 9, starts=[1, -4], ends=[3, 1000], axes=[1, 2]),
    case("Slice", 13, {"s": np.array([-1]), "e": np.array([-2**31]), "a": np.array([3]), "t": np.array([-2])}),
    case("Gather", 17, {"at": np.array([[0, -1], [2, 1]])}, axis=1),
    case("DepthToSpace", 17, blocksize=2),
    case("DepthToSpace", 17, blocksize=2, mode="CRD"),
    case("SpaceToDepth", 17, blocksize=3),
    case("Trilu", 17, {"k": np.int64(1)}, upper=0),
    case("LRN", 17, size=3, alpha=0.1),
    case("LpNormalization", 17, axis=1, p=1),
    case("MeanVarianceNormalization", 17),
    case("InstanceNormalization", 17, {"scale": drawn(4), "bias": drawn(4, seed=1)}),
    case("GroupNormalization", 21, {"scale": drawn(4), "bias": drawn(4, seed=1)}, num_groups=2),
    case("MaxPool", 17, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0]),
    case("MaxPool", 17, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("MaxPool", 17, kernel_shape=[2, 2], dilations=[2, 2]),
    case("MaxPool", 17, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("AveragePool", 17, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("AveragePool", 17, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1),
    case("AveragePool", 17, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    case("Upsample", 9, {"scales": np.array([1, 1, 2, 3], np.float32)}, mode="nearest"),
    case("Resize", 10, {"scales": np.array([1, 1, 2, 1.5], np.float32)}, mode="linear"),
    case("Scatter", 9, {"at": np.array([[[[1]]]]), "put": drawn(1, 1, 1, 1)}, axis=1),
    *(
        case("Resize", 13, {"roi": np.zeros(0, np.float32), "scales": np.array([1, 1, 2, 1.5], np.float32)}, mode=mode,
             coordinate_transformation_mode=form)
        for mode in ("nearest", "linear")
        for form in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    ),
    *(
        case("Resize", 13, {"roi": np.zeros(0, np.float32), "scales": np.array([1, 1, 2, 1.5], np.float32)},
             mode="cubic", coordinate_transformation_mode=form)
        for form in ("half_pixel", "align_corners")
    ),
    case("Einsum", 17, {"other": drawn(4, 5)}, equation="nchw,cd->ndhw"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "opset", "stored", "attributes"), CASES)
def test_an_operator_computes_what_onnxruntime_does(
    tmp_path: Path, kind: str, opset: int, stored: dict[str, Any], attributes: dict[str, Any]
) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node(kind, " ".join(["x", *stored]), "y0", **attributes), node("Identity", "y0", "y")],
        {"x": X},
        {"y": []},
        stored,
        opset=opset,
    )
    model = onnx.load_model(path)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model = onnx.shape_inference.infer_shapes(model)
    if not model.graph.output[0].type.tensor_type.HasField("shape"):
        # Operators that are functions of others keep the shape that they are given.
        model.graph.output[0].type.CopyFrom(model.graph.input[0].type)
    onnx.save_model(model, path)
    assert lift_checked(path).output_names == ("y",)


@pytest.mark.parametrize(("kind", "opset", "sizes"), [("Split", 11, None), ("Split", 13, SPLIT), ("Split", 18, None)])
def test_parts_of_a_split_are_outputs_of_their_own(tmp_path: Path, kind: str, opset: int, sizes: Any) -> None:
    attributes: dict[str, Any] = {"axis": 1} | ({"num_outputs": 2} if opset >= 18 else {})
    path = write(
        tmp_path / "m.onnx",
        [node(kind, "x sizes" if sizes is not None else "x", "a b", **attributes)],
        {"x": X},
        {"a": ["N", "c", 6, 6], "b": ["N", "d", 6, 6]},
        {} if sizes is None else {"sizes": sizes},
        opset=opset,
    )
    assert lift_checked(path).output_names == ("a", "b")

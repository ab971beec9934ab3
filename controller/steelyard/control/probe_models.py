"""Generated ONNX models of one large matrix product, by which a device shows what its runtime reaches at most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Rows, depth and columns: 134 million multiply-accumulates, 1 ms on a workstation, 0.1 s on a small board.
_SIZE = 512
# Old enough for the runtimes of older boards; both operators are in it.
_IR_VERSION, _OPSET = 8, 13


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFile:
    """A model's bytes, what its rate is called, and what one inference multiplies."""

    name: str
    content: bytes
    mac_count: int


def float_product() -> ProbeFile:
    """Return a MatMul of two float32 matrices, one of them stored."""
    import onnx

    weight = np.random.default_rng(0).standard_normal((_SIZE, _SIZE)).astype(np.float32)
    kind = onnx.TensorProto.FLOAT
    return _file("float32 multiply-accumulate", "MatMul", weight, kind, kind)


def int8_product() -> ProbeFile:
    """Return a MatMulInteger of a uint8 and a stored int8 matrix, what dynamic and static quantization end in."""
    import onnx

    weight = np.random.default_rng(0).integers(-127, 128, (_SIZE, _SIZE)).astype(np.int8)
    return _file("int8 multiply-accumulate", "MatMulInteger", weight, onnx.TensorProto.UINT8, onnx.TensorProto.INT32)


def _file(name: str, operator: str, weight: np.ndarray, given: int, made: int) -> ProbeFile:
    from onnx import helper, numpy_helper

    shape = [_SIZE, _SIZE]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "weight"], ["y"], name="product")],
        "roofline",
        [helper.make_tensor_value_info("x", given, shape)],
        [helper.make_tensor_value_info("y", made, shape)],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="steelyard")
    model.ir_version = _IR_VERSION
    return ProbeFile(name=name, content=model.SerializeToString(deterministic=True), mac_count=_SIZE**3)

"""Give quantized layers the form that integer kernels match: int32 biases, and weights stored the way they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_BIASED = frozenset({"Conv", "Gemm"})
_BIAS_INPUT = 2
# Samples, channels and a place at least.
_LEAST_POOLED = 3
_LIMITS = np.iinfo(np.int32)
# Of a bias in steps: half of what 32 bits hold, since products are added to it.
_MOST_STEPS = 2**30


def tidy(model: ModelProto, *, has_pools: bool) -> None:
    """Turn stored weights behind a Transpose, and store biases as int32 in the scale of input times weights.

    With ``has_pools``, means over all places of pictures are written as the global pools that they were.

    Weights whose scale is too small for the bias beside them get a larger one.

    All are the same numbers to within half a step of the sums; without them onnxruntime (1.32) leaves the last Gemm
    and every MatMul with a stored weight in float.
    """
    graph = _Graph.of(model)
    _turn_weights(model, graph)
    _fit_scales(model, graph)
    _store_biases(model, graph)
    if has_pools:
        _name_pools(model, graph)
    _drop_unread(model)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    makers: Mapping[str, NodeProto]
    stored: Mapping[str, TensorProto]

    @classmethod
    def of(cls, model: ModelProto) -> _Graph:
        return cls(
            makers={name: node for node in model.graph.node for name in node.output},
            stored={tensor.name: tensor for tensor in model.graph.initializer},
        )

    def maker(self, name: str, op_type: str) -> NodeProto | None:
        """Return the node of this operator that makes a value."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type == op_type else None

    def array(self, name: str) -> NDArray[Any] | None:
        from onnx import numpy_helper

        return numpy_helper.to_array(self.stored[name]) if name in self.stored else None


def _turn_weights(model: ModelProto, graph: _Graph) -> None:
    """MatMul(x, Transpose(DequantizeLinear(W))) -> MatMul(x, DequantizeLinear(W.T)), with the scales of columns."""
    from onnx import helper, numpy_helper

    made: dict[str, NodeProto] = {}
    for node in [one for one in model.graph.node if one.op_type == "MatMul"]:
        turn = graph.maker(node.input[1], "Transpose")
        read = None if turn is None else graph.maker(turn.input[0], "DequantizeLinear")
        weight = None if read is None else graph.array(read.input[0])
        if turn is None or read is None or weight is None or weight.ndim != 2:
            continue
        name = f"{read.input[0]}.T"
        if name not in made:
            model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(weight.T), name))
            made[name] = helper.make_node(
                "DequantizeLinear", [name, *read.input[1:]], [f"{name}.float"], name=f"{name}.read", axis=1
            )
        node.input[1] = f"{name}.float"
    _put_first(model, made.values())


def _fit_scales(model: ModelProto, graph: _Graph) -> None:
    """Make scales of weights larger where the bias would not fit into 32 bits.

    They are of filters that are all but zero, which a training or a sparsity left. What their weights lose in it is
    nothing beside such a bias.
    """
    from onnx import numpy_helper

    # One after the other: layers may share weights, and the second sees what the first made of the scale.
    for node, bias, scale in _float_biases(model, graph):
        times = np.maximum(np.abs(bias) / scale / _MOST_STEPS, 1.0)
        read = graph.makers[node.input[1]]
        steps, own = graph.array(read.input[0]), graph.array(read.input[1])
        if (times == 1.0).all() or steps is None or own is None or own.size != bias.size:
            continue
        axis = next((one.i for one in read.attribute if one.name == "axis"), 1)
        along = times.reshape([-1 if place == axis % steps.ndim else 1 for place in range(steps.ndim)])
        fitted = (np.rint(steps / along).astype(steps.dtype), (own * times.reshape(own.shape)).astype(own.dtype))
        for name, array in zip(read.input[:2], fitted, strict=True):
            graph.stored[name].CopyFrom(numpy_helper.from_array(array, name))


def _store_biases(model: ModelProto, graph: _Graph) -> None:
    from onnx import helper, numpy_helper

    made = []
    for at, (node, bias, scale) in enumerate(list(_float_biases(model, graph))):
        steps = np.clip(np.rint(bias / scale), _LIMITS.min, _LIMITS.max).astype(np.int32)
        names = [f"{node.input[_BIAS_INPUT]}.{at}.{part}" for part in ("int32", "scale", "zero", "float")]
        parts = (steps, scale.astype(np.float32), np.zeros(scale.shape, np.int32))
        for name, part in zip(names[:3], parts, strict=True):
            model.graph.initializer.append(numpy_helper.from_array(part, name))
        made.append(helper.make_node("DequantizeLinear", names[:3], names[3:], name=f"{names[3]}.read", axis=0))
        node.input[_BIAS_INPUT] = names[3]
    _put_first(model, made)


def _float_biases(model: ModelProto, graph: _Graph) -> Iterator[tuple[NodeProto, NDArray[Any], NDArray[Any]]]:
    """Yield quantized layers with their float bias [C] and the scale [C] of their sums."""
    for node in model.graph.node:
        if node.op_type not in _BIASED or len(node.input) <= _BIAS_INPUT or not node.input[_BIAS_INPUT]:
            continue
        reads = [graph.maker(name, "DequantizeLinear") for name in node.input[:2]]
        bias = graph.array(node.input[_BIAS_INPUT])
        if bias is None or any(read is None for read in reads):
            continue
        scales = [graph.array(read.input[1]) for read in reads if read is not None]
        if any(scale is None for scale in scales) or not _is_plain(node):
            continue
        scale = np.asarray(scales[0], np.float64) * np.asarray(scales[1], np.float64)
        yield node, bias.astype(np.float64), np.broadcast_to(scale.reshape(-1), bias.shape)


def _is_plain(node: NodeProto) -> bool:
    """Return whether a layer adds its bias as it is."""
    return not any(one.name in {"alpha", "beta"} and one.f != 1.0 for one in node.attribute)


def _name_pools(model: ModelProto, graph: _Graph) -> None:
    """ReduceMean(x, axes=[2, ...]) -> GlobalAveragePool(x), which has an integer kernel; PyTorch writes the first."""
    from onnx import shape_inference

    inferred = shape_inference.infer_shapes(model).graph
    ranks = {one.name: len(one.type.tensor_type.shape.dim) for one in (*inferred.value_info, *inferred.input)}
    for node in model.graph.node:
        if node.op_type != "ReduceMean" or len(node.input) < 2:
            continue
        axes, rank = graph.array(node.input[1]), ranks.get(node.input[0], 0)
        keeps = all(one.i for one in node.attribute if one.name == "keepdims")
        if axes is None or not keeps or rank < _LEAST_POOLED or sorted(axes % rank) != list(range(2, rank)):
            continue
        node.op_type = "GlobalAveragePool"
        del node.input[1:]
        del node.attribute[:]


def _put_first(model: ModelProto, nodes: Any) -> None:
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])


def _drop_unread(model: ModelProto) -> None:
    """Take out nodes and stored tensors that nothing reads any more."""
    given = {value.name for value in model.graph.output}
    while True:
        read = given | {name for node in model.graph.node for name in node.input}
        unread = [node for node in model.graph.node if not read.intersection(node.output)]
        if not unread:
            break
        for node in unread:
            model.graph.node.remove(node)
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)

"""A BERT encoder with mean pooling and a linear head as an ONNX graph, from its named weights and without a framework.

The operators are those that exporters write: MatMul and Add for a linear layer, GELU by Erf, LayerNormalization, masks
added before Softmax, positions sliced to the length of the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto

Weights = Mapping[str, NDArray[np.float32]]
IDS, MASK, EMBEDDING, LOGITS = "input_ids", "attention_mask", "embedding", "logits"
_OPSET = 17
_IR_VERSION = 8
_MASKED = -10_000.0
# sentence-transformers' bounds below the count of tokens and the length of a vector.
_LEAST_COUNT, _LEAST_LENGTH = 1e-9, 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class BertShape:
    """How a checkpoint is to be read: ``head_count`` attention heads in each of ``layer_count`` layers."""

    layer_count: int
    head_count: int
    layer_norm_epsilon: float = 1e-12

    def __post_init__(self) -> None:
        """Refuse an encoder without layers or heads."""
        if self.layer_count < 1 or self.head_count < 1:
            raise ValueError(f"{self.layer_count} layers with {self.head_count} heads are no encoder; give 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearHead:
    """A linear layer on the embedding: ``weight`` float32 [CLASSES, WIDTH], ``bias`` float32 [CLASSES]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


def bert_model(weights: Weights, shape: BertShape, head: LinearHead | None = None) -> ModelProto:
    """Return the model: int64 [B,T] ``input_ids`` and ``attention_mask`` to float32 ``logits`` [B, CLASSES].

    Without a head the output is ``embedding`` [B, WIDTH], the mean over the tokens at length one. ``weights`` are named
    as in BertModel's checkpoints (transformers).
    """
    graph = _Graph(shape=shape, weights=weights)
    hidden = _embedded(graph)
    mask = _additive_mask(graph)
    for layer in range(shape.layer_count):
        hidden = _encoder_layer(graph, hidden, mask, f"encoder.layer.{layer}")
    _pooled(graph, hidden)
    output, size = EMBEDDING, len(weights["embeddings.LayerNorm.weight"])
    if head is not None:
        graph.store("classifier.weight", head.weight)
        graph.store("classifier.bias", head.bias)
        graph.add("Gemm", [EMBEDDING, "classifier.weight", "classifier.bias"], LOGITS, transB=1)
        output, size = LOGITS, len(head.bias)
    return graph.model(output, size)


@dataclass(slots=True, kw_only=True)
class _Graph:
    """Nodes and stored values as they are added."""

    shape: BertShape
    weights: Weights
    nodes: list[Any] = field(default_factory=list)
    stored: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return len(self.weights["embeddings.LayerNorm.weight"])

    def weight(self, name: str) -> str:
        return self.store(name, self.weights[name])

    def store(self, name: str, values: NDArray[Any]) -> str:
        self.stored[name] = values
        return name

    def number(self, name: str, value: float) -> str:
        return self.store(name, np.array(value, dtype=np.float32))

    def whole(self, name: str, values: list[int]) -> str:
        return self.store(name, np.array(values, dtype=np.int64))

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"/{output}/{kind}", **attributes))
        return output

    def model(self, output: str, size: int) -> ModelProto:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        inputs = [helper.make_tensor_value_info(one, TensorProto.INT64, ["batch", "sequence"]) for one in (IDS, MASK)]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", size])]
        stored = [numpy_helper.from_array(values, name) for name, values in self.stored.items()]
        graph = helper.make_graph(self.nodes, "bert", inputs, outputs, stored)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        onnx.checker.check_model(made, full_check=True)
        return made


def _embedded(graph: _Graph) -> str:
    words = graph.add("Gather", [graph.weight("embeddings.word_embeddings.weight"), IDS], "word_embeddings")
    graph.store("token_type", graph.weights["embeddings.token_type_embeddings.weight"][0])
    typed = graph.add("Add", [words, "token_type"], "typed_embeddings")
    positions = graph.weights["embeddings.position_embeddings.weight"]
    graph.store("position_ids", np.arange(len(positions))[None])
    graph.add("Shape", [IDS], "ids_shape")
    graph.add("Gather", ["ids_shape", graph.whole("place_of_length", [1])], "length")
    slices = ["position_ids", graph.whole("begin", [0]), "length", graph.whole("length_axis", [1])]
    graph.add("Slice", slices, "positions")
    table = graph.store("embeddings.position_embeddings.weight", positions)
    placed = graph.add("Gather", [table, "positions"], "position_embeddings")
    summed = graph.add("Add", [typed, placed], "summed_embeddings")
    return _normalised(graph, summed, "embeddings.LayerNorm")


def _additive_mask(graph: _Graph) -> str:
    """Return 0 for a token and a large negative number for padding, [B,1,1,T]."""
    from onnx import TensorProto

    graph.add("Unsqueeze", [MASK, graph.whole("mask_axes", [1, 2])], "mask_4d")
    graph.add("Cast", ["mask_4d"], "mask_float", to=TensorProto.FLOAT)
    graph.add("Sub", [graph.number("one", 1.0), "mask_float"], "padding")
    return graph.add("Mul", ["padding", graph.number("masked", _MASKED)], "additive_mask")


def _encoder_layer(graph: _Graph, hidden: str, mask: str, name: str) -> str:
    attention = f"{name}.attention"
    query = _heads(graph, _linear(graph, hidden, f"{attention}.self.query"), [0, 2, 1, 3])
    key = _heads(graph, _linear(graph, hidden, f"{attention}.self.key"), [0, 2, 3, 1])
    value = _heads(graph, _linear(graph, hidden, f"{attention}.self.value"), [0, 2, 1, 3])
    scores = graph.add("MatMul", [query, key], f"{attention}.scores")
    root = graph.number("root_of_head_width", float(np.sqrt(graph.width // graph.shape.head_count)))
    scaled = graph.add("Div", [scores, root], f"{attention}.scaled")
    masked = graph.add("Add", [scaled, mask], f"{attention}.masked")
    shares = graph.add("Softmax", [masked], f"{attention}.shares", axis=-1)
    context = graph.add("MatMul", [shares, value], f"{attention}.context")
    turned = graph.add("Transpose", [context], f"{attention}.turned", perm=[0, 2, 1, 3])
    joined = graph.add("Reshape", [turned, graph.whole("joined_shape", [0, 0, graph.width])], f"{attention}.joined")
    attended = graph.add("Add", [_linear(graph, joined, f"{attention}.output.dense"), hidden], f"{attention}.sum")
    middle = _normalised(graph, attended, f"{attention}.output.LayerNorm")
    wide = _gelu(graph, _linear(graph, middle, f"{name}.intermediate.dense"), f"{name}.intermediate")
    narrow = graph.add("Add", [_linear(graph, wide, f"{name}.output.dense"), middle], f"{name}.sum")
    return _normalised(graph, narrow, f"{name}.output.LayerNorm")


def _linear(graph: _Graph, source: str, name: str) -> str:
    weight = graph.store(f"{name}.weight_transposed", np.ascontiguousarray(graph.weights[f"{name}.weight"].T))
    product = graph.add("MatMul", [source, weight], f"{name}.product")
    return graph.add("Add", [graph.weight(f"{name}.bias"), product], f"{name}.result")


def _heads(graph: _Graph, source: str, order: list[int]) -> str:
    count = graph.shape.head_count
    shape = graph.whole("heads_shape", [0, 0, count, graph.width // count])
    split = graph.add("Reshape", [source, shape], f"{source}.heads")
    return graph.add("Transpose", [split], f"{source}.turned", perm=order)


def _gelu(graph: _Graph, source: str, name: str) -> str:
    shrunk = graph.add("Div", [source, graph.number("root_of_two", float(np.sqrt(2.0)))], f"{name}.shrunk")
    error = graph.add("Erf", [shrunk], f"{name}.erf")
    shifted = graph.add("Add", [error, graph.number("one", 1.0)], f"{name}.shifted")
    gated = graph.add("Mul", [source, shifted], f"{name}.gated")
    return graph.add("Mul", [gated, graph.number("half", 0.5)], f"{name}.gelu")


def _normalised(graph: _Graph, source: str, name: str) -> str:
    inputs = [source, graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")]
    epsilon = graph.shape.layer_norm_epsilon
    return graph.add("LayerNormalization", inputs, f"{name}.result", axis=-1, epsilon=epsilon)


def _pooled(graph: _Graph, hidden: str) -> None:
    """Add the mean over the tokens that are no padding, brought to length one."""
    from onnx import TensorProto

    graph.add("Unsqueeze", [MASK, graph.whole("last_axis", [-1])], "mask_3d")
    graph.add("Cast", ["mask_3d"], "token_weights", to=TensorProto.FLOAT)
    graph.add("Mul", [hidden, "token_weights"], "weighted")
    axis = graph.whole("token_axis", [1])
    graph.add("ReduceSum", ["weighted", axis], "token_sum", keepdims=0)
    graph.add("ReduceSum", ["token_weights", axis], "token_count", keepdims=0)
    graph.add("Clip", ["token_count", graph.number("least_count", _LEAST_COUNT)], "counted")
    graph.add("Div", ["token_sum", "counted"], "mean")
    graph.add("ReduceL2", ["mean"], "mean_length", axes=[1], keepdims=1)
    graph.add("Clip", ["mean_length", graph.number("least_length", _LEAST_LENGTH)], "length_to_divide")
    graph.add("Div", ["mean", "length_to_divide"], EMBEDDING)

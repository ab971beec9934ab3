"""Add one score a picture to a face detector: the largest of its anchors' logits, beside the outputs that it has.

The package's TFLite file also gets its weights in float32, which compression starts from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SCORE = "score"
"""The name of the added output, float32 [1, 1]."""


def add_onnx_score(source: Path, target: Path) -> None:
    """Write ``source`` with the maximum over its outputs [1, A, 1] as one more output.

    Raises:
        ValueError: no output has that shape.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(source)
    graph = model.graph
    logits = [one.name for one in graph.output if one.type.tensor_type.shape.dim[-1].dim_value == 1]
    if not logits:
        raise ValueError(f"{source.name} has no output [1, A, 1] with a logit an anchor; name another file")
    graph.node.extend(
        [
            helper.make_node("Concat", logits, ["all_logits"], axis=1),
            helper.make_node("ReduceMax", ["all_logits"], [SCORE], axes=[1], keepdims=0),
        ]
    )
    graph.output.append(helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, [1, 1]))
    onnx.checker.check_model(model)
    onnx.save(model, target)


def add_tflite_score(source: Path, target: Path) -> None:
    """Write ``source`` with the maximum over its output [1, A, 1] as one more output, and float16 weights as float32.

    Unpacked as the runtime unpacks them, the model answers the same, and can be quantized.

    Raises:
        ValueError: not exactly one output has that shape, or the file has signatures, which would need the score too.
    """
    from ai_edge_litert import schema_py_generated as schema

    from steelyard.compress.tflite.flatbuffer_model import add_buffer, read_model, write_model

    model = read_model(source)
    if model.signatureDefs:
        raise ValueError(f"{source.name} has {len(model.signatureDefs)} signatures; name a file without")
    graph = model.subgraphs[0]
    _unpack_weights(model, graph)
    logits = [int(one) for one in graph.outputs if int(graph.tensors[one].shape[-1]) == 1]
    if len(logits) != 1:
        raise ValueError(f"{source.name} has {len(logits)} outputs [1, A, 1], not one; name another file")
    axes = _tensor("score_axes", [1], schema.TensorType.INT32, add_buffer(model, np.array([1], np.int32)))
    score = _tensor(SCORE, [1, 1], schema.TensorType.FLOAT32, 0)
    graph.tensors += [axes, score]
    places = [len(graph.tensors) - 2, len(graph.tensors) - 1]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.REDUCE_MAX
    code.version = 1
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [logits[0], places[0]], [places[1]]
    operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operator.builtinOptions = schema.ReducerOptionsT()
    graph.operators.append(operator)
    graph.outputs = [*(int(one) for one in graph.outputs), places[1]]
    write_model(model, target)


def _unpack_weights(model: Any, graph: Any) -> None:
    """Store what DEQUANTIZE makes of constants in float16 in their place, and take the operator out."""
    from ai_edge_litert import schema_py_generated as schema

    from steelyard.compress.tflite.flatbuffer_model import add_buffer

    kept, packed_tensors = [], set()
    for operator in graph.operators:
        source, target = int(operator.inputs[0]), int(operator.outputs[0])
        packed = graph.tensors[source]
        data = model.buffers[packed.buffer].data
        if packed.type != schema.TensorType.FLOAT16 or data is None:
            kept.append(operator)
            continue
        values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), "<f2").astype(np.float32)
        graph.tensors[target].buffer = add_buffer(model, values)
        packed_tensors.add(source)
    graph.operators = kept
    _drop_tensors(graph, packed_tensors)


def _drop_tensors(graph: Any, dropped: set[int]) -> None:
    left = [index for index in range(len(graph.tensors)) if index not in dropped]
    places = {old: new for new, old in enumerate(left)} | {-1: -1}
    graph.tensors = [graph.tensors[index] for index in left]
    graph.inputs, graph.outputs = _renumbered(graph.inputs, places), _renumbered(graph.outputs, places)
    for operator in graph.operators:
        operator.inputs = _renumbered(operator.inputs, places)
        operator.outputs = _renumbered(operator.outputs, places)
        if operator.intermediates is not None:
            operator.intermediates = _renumbered(operator.intermediates, places)


def _renumbered(indices: Any, places: dict[int, int]) -> list[int]:
    return [places[int(index)] for index in indices]


def _tensor(name: str, shape: list[int], kind: int, buffer: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, buffer
    return tensor

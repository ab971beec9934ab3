"""Small deterministic TFLite models for tests, written with the schema that ai-edge-litert carries."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Of the TFLite schema: TensorType.FLOAT32, BuiltinOperator.ADD, FULLY_CONNECTED, CUSTOM.
_FLOAT32 = 0
_ADD = 0
_FULLY_CONNECTED = 9
_CUSTOM = 32


def tflite_linear_model(path: Path, features: int = 4, classes: int = 3, *, dynamic_batch: bool = False) -> Path:
    """Write x [1 or batch, features] -> FULLY_CONNECTED -> logits, with the weights of ``models.linear_model``."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((features, classes)).astype(np.float32)
    bias = rng.standard_normal(classes).astype(np.float32)
    return _write(path, [np.ascontiguousarray(weight.T), bias], features, classes, dynamic_batch=dynamic_batch)


def tflite_accumulator_model(path: Path, features: int = 4) -> Path:
    """Write x, h [1, features] -> ADD -> hn: the smallest state that there is."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = _ADD
    code.version = 1
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(schema, name, (1, features)) for name in ("x", "h", "hn")]
    graph.inputs, graph.outputs, graph.operators, graph.name = [0, 1], [2], [operator], b"main"
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    model.description = b"steelyard tests"
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def tflite_chain_model(path: Path, node_count: int) -> Path:
    """Write x [1, 4] -> FULLY_CONNECTED, ``node_count`` times one behind the other -> logits [1, 4]."""
    weight = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
    return _write(path, [weight, np.ones(4, np.float32)], 4, 4, node_count=node_count)


def tflite_unknown_op_model(path: Path, op: str = "Frobnicate") -> Path:
    """Write x [1, 4] -> a custom op that no build knows -> y [1, 4]."""
    return _write(path, [], 4, 4, custom_op=op)


def _write(
    path: Path,
    constants: list[np.ndarray],
    features: int,
    classes: int,
    *,
    dynamic_batch: bool = False,
    custom_op: str = "",
    node_count: int = 1,
) -> Path:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    buffers = [schema.BufferT(), *(_buffer(schema, values) for values in constants)]
    tensors = [
        _tensor(schema, "x", (1, features), dynamic_batch=dynamic_batch),
        _tensor(schema, "logits", (1, classes), dynamic_batch=dynamic_batch),
        *(
            _tensor(schema, f"constant{index}", values.shape, buffer=index + 1)
            for index, values in enumerate(constants)
        ),
    ]
    weights = [*range(2, len(tensors))]
    hidden = [*range(len(tensors), len(tensors) + node_count - 1)]
    tensors += [_tensor(schema, f"hidden{index}", (1, classes)) for index in hidden]
    code = schema.OperatorCodeT()
    code.builtinCode = _CUSTOM if custom_op else _FULLY_CONNECTED
    code.deprecatedBuiltinCode = code.builtinCode
    code.customCode = custom_op.encode() or None
    code.version = 1
    operators = []
    for source, target in zip((0, *hidden), (*hidden, 1), strict=True):
        operator = schema.OperatorT()
        operator.opcodeIndex = 0
        operator.inputs = [source, *weights]
        operator.outputs = [target]
        if not custom_op:
            operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            operator.builtinOptions = schema.FullyConnectedOptionsT()
        operators.append(operator)
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators, graph.name = tensors, [0], [1], operators, b"main"
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    model.description = b"steelyard tests"
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _buffer(schema: object, values: np.ndarray) -> object:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    return buffer


def _tensor(
    schema: object, name: str, shape: tuple[int, ...], *, buffer: int = 0, dynamic_batch: bool = False
) -> object:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = name.encode(), _FLOAT32, buffer
    tensor.shape = np.array(shape, np.int32)
    if dynamic_batch:
        tensor.shapeSignature = np.array((-1, *shape[1:]), np.int32)
    return tensor

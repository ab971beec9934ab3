"""The topologies of the model zoo that the onnx package carries, with weights of our own.

Their weights are one constant each (ConstantOfShape), so that every channel computes the same and a wrong order of
channels would not show. Each is replaced by a seeded random tensor: weights of layers scaled by fan-in (He et al. 2015,
arXiv 1502.01852), scales near one, biases and means small, variances between a half and three halves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto

SEED = 8
# The spread of logits that a softmax answers without being sure of one class.
_LOGIT_SPREAD = 1.0
# Where each operator has what: the input's place -> the kind of tensor.
_KINDS = {
    "Conv": {1: "weight", 2: "small"},
    "Gemm": {1: "weight", 2: "small"},
    "BatchNormalization": {1: "scale", 2: "small", 3: "small", 4: "variance"},
    "Mul": {1: "scale"},
    "Add": {1: "small"},
}


def topologies() -> dict[str, Path]:
    """Return the files by name; none where the onnx package comes without them."""
    import onnx

    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    return {path.stem: path for path in sorted(folder.glob("light_*.onnx"))}


def with_random_weights(path: Path, out_path: Path, *, seed: int = SEED) -> int:
    """Write the topology with drawn weights and return how many tensors were drawn."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model(path)
    rng = np.random.default_rng(seed)
    drawn = {name: _drawn(kind, shape, rng) for name, kind, shape in _constants(model)}
    kept = [node for node in model.graph.node if not (node.op_type == "ConstantOfShape" and node.output[0] in drawn)]
    stored = [tensor for tensor in model.graph.initializer if tensor.name not in drawn]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(stored)
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in drawn.items())
    model.ir_version = max(model.ir_version, 4)
    names = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    onnx.save_model(model, out_path)
    _calm_last_layer(model, out_path)
    return len(drawn)


def _calm_last_layer(model: ModelProto, path: Path) -> None:
    """Scale the weights before a final Softmax so that its inputs spread by one: else it gives one class a share of 1.

    Deep networks of drawn weights without training grow their values by orders of magnitude.
    """
    import onnx
    from onnx import numpy_helper

    makers = {name: node for node in model.graph.node for name in node.output}
    softmax = makers[model.graph.output[0].name]
    layer = makers.get(softmax.input[0])
    if softmax.op_type != "Softmax" or layer is None or layer.op_type != "Gemm":
        return
    spread = _spread(model, path, layer.output[0])
    for tensor in model.graph.initializer:
        if tensor.name in layer.input[1:]:
            values = numpy_helper.to_array(tensor) * np.float32(_LOGIT_SPREAD / spread)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save_model(model, path)


def _spread(model: ModelProto, path: Path, name: str) -> float:
    """Return the standard deviation of an inner value on one drawn input."""
    import onnx

    from steelyard.train.parity import file_outputs

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.append(onnx.ValueInfoProto(name=name))
    onnx.save_model(watched, path)
    (given,) = model.graph.input
    shape = [one.dim_value for one in given.type.tensor_type.shape.dim]
    feed = {given.name: np.random.default_rng(SEED).standard_normal(shape).astype(np.float32)}
    return float(file_outputs(path, feed)[name].std())


def _constants(model: ModelProto) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield name, kind and shape of every float tensor that holds one value: made by a node, or stored."""
    from onnx import numpy_helper

    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kinds = _kinds(model)
    for node in model.graph.node:
        if node.op_type == "ConstantOfShape":
            yield node.output[0], kinds.get(node.output[0], "small"), tuple(int(one) for one in stored[node.input[0]])
    for name, values in stored.items():
        if values.dtype == np.float32 and values.size > 1 and np.all(values == values.flat[0]):
            yield name, kinds.get(name, "small"), values.shape


def _kinds(model: ModelProto) -> dict[str, str]:
    """Return what each tensor is, by who reads it, directly or through an Unsqueeze."""
    through = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Unsqueeze"}
    kinds: dict[str, str] = {}
    for node in model.graph.node:
        for at, kind in _KINDS.get(node.op_type, {}).items():
            if at < len(node.input):
                name = node.input[at]
                kinds[through.get(name, name)] = kind
    return kinds


def _drawn(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    values = rng.standard_normal(shape)
    if kind == "weight":
        # A bias or a matrix of one axis has a fan-in of one.
        values = values * np.sqrt(2.0 / max(1, int(np.prod(shape[1:]))))
    elif kind == "scale":
        values = 1.0 + 0.1 * values
    elif kind == "variance":
        values = rng.uniform(0.5, 1.5, shape)
    else:
        values = 0.1 * values
    return values.astype(np.float32)

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
    return len(drawn)


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

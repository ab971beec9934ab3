"""A graph whose layers get other weights: who reads what, and constants that other readers keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.artifact_formats.onnx_tensors import iter_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_BIAS_INPUT = 2
_OUTPUT_AXIS = {"Conv": 0, "ConvTranspose": 1}


class LinearGraph:
    """Changes of the top graph of ``model``, in place; subgraphs are read and never changed."""

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self._graph = model.graph
        self._constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}
        self._outputs = {value.name for value in model.graph.output}
        self._index()

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return the values of a stored float32 tensor, None for anything else."""
        from onnx import numpy_helper

        tensor = self._constants.get(name)
        if tensor is None or tensor.data_type != tensor.FLOAT:
            return None
        values: NDArray[Any] = numpy_helper.to_array(tensor)
        return values

    def bias(self, layer: NodeProto) -> NDArray[np.float64] | None:
        """Return the bias [channels] of a layer, zeros [1] for none, None for one that is not stored by channel."""
        if len(layer.input) <= _BIAS_INPUT or not layer.input[_BIAS_INPUT]:
            return np.zeros(1)
        values = self.constant(layer.input[_BIAS_INPUT])
        if values is None or values.size != (values.shape or (1,))[-1]:
            return None
        return np.asarray(values, dtype=np.float64).reshape(-1)

    def only_source(self, node: NodeProto) -> NodeProto | None:
        """Return the node that gives the first input, when nothing else reads what it gives."""
        return self.only_source_of(node.input[0])

    def source(self, name: str) -> NodeProto | None:
        """Return the node that gives a tensor."""
        return self._sources.get(name)

    def only_source_of(self, name: str) -> NodeProto | None:
        """Return the node that gives a tensor which one node reads."""
        source = self._sources.get(name)
        return source if self._readers.get(name, 0) == 1 and name not in self._outputs else None

    def only_reader(self, node: NodeProto) -> NodeProto | None:
        """Return the node of the top graph that alone reads the first output."""
        name = node.output[0]
        if self._readers.get(name, 0) != 1 or name in self._outputs:
            return None
        return next((one for one in self._graph.node if name in one.input), None)

    def set_weight(self, layer: NodeProto, values: NDArray[Any]) -> None:
        """Give a layer another weight; other readers of the old one keep it."""
        layer.input[1] = self._store(layer.input[1], f"{layer.output[0]}_weight", values)

    def set_bias(self, layer: NodeProto, values: NDArray[Any]) -> None:
        """Give a layer a bias [channels]."""
        old = layer.input[_BIAS_INPUT] if len(layer.input) > _BIAS_INPUT else ""
        if not old:
            del layer.input[_BIAS_INPUT:]
            layer.input.append("")
        channels = self._channel_count(layer)
        layer.input[_BIAS_INPUT] = self._store(
            old, f"{layer.output[0]}_bias", np.broadcast_to(values.reshape(-1), (channels,))
        )

    def take_over(self, layer: NodeProto, node: NodeProto) -> None:
        """Remove ``node`` behind ``layer``, which gets its output."""
        layer.output[0] = node.output[0]
        self._graph.node.remove(node)
        self._index()

    def bypass(self, node: NodeProto, reader: NodeProto) -> None:
        """Remove ``node`` in front of ``reader``, which gets its input."""
        reader.input[0] = node.input[0]
        self._graph.node.remove(node)
        self._index()

    def drop_unused(self) -> None:
        """Remove stored tensors that nothing reads."""
        self._index()
        used = self._readers.keys() | self._outputs
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        if len(kept) < len(self._graph.initializer):
            del self._graph.initializer[:]
            self._graph.initializer.extend(kept)

    def _channel_count(self, layer: NodeProto) -> int:
        weight = self._constants[layer.input[1]]
        flags = {one.name: int(one.i) for one in layer.attribute}
        if layer.op_type == "Gemm":
            return int(weight.dims[0 if flags.get("transB") else 1])
        groups = flags.get("group", 1) if layer.op_type == "ConvTranspose" else 1
        return int(weight.dims[_OUTPUT_AXIS[layer.op_type]]) * groups

    def _store(self, old: str, new: str, values: NDArray[Any]) -> str:
        """Store values under the old name where nothing else reads it, else under a new one; return the name."""
        from onnx import numpy_helper

        name = old if old and self._readers.get(old, 0) == 1 and old not in self._outputs else self._free(new)
        tensor = numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name)
        if name in self._constants:
            self._constants[name].CopyFrom(tensor)
        else:
            self._graph.initializer.append(tensor)
            self._constants[name] = self._graph.initializer[-1]
        return name

    def _free(self, name: str) -> str:
        taken = self._constants.keys() | self._sources.keys() | self._readers.keys()
        number, found = 2, name
        while found in taken:
            found, number = f"{name}_{number}", number + 1
        return found

    def _index(self) -> None:
        self._sources = {name: node for node in self._graph.node for name in node.output if name}
        self._readers: dict[str, int] = {}
        for node in iter_nodes(self._model):
            for name in node.input:
                if name:
                    self._readers[name] = self._readers.get(name, 0) + 1

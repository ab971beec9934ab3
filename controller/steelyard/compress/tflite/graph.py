"""The first graph of a TFLite model: its operators by name, its stored values, who makes and who reads a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.artifact_formats.tflite_file import DTYPES
from steelyard.layers.tflite_names import BUILTIN_NAMES, CUSTOM

FLOAT32_TYPE = DTYPES.index("float32")
FLOAT16_TYPE = DTYPES.index("float16")
# Types that only quantized tensors have; INT32 stands for indices and shapes too.
QUANTIZED_TYPES = frozenset(DTYPES.index(name) for name in ("int8", "uint8", "int16", "int4", "uint4", "int2"))
# Operators whose weights compression works on, with the input that holds them and the axis of output channels.
WEIGHT_INPUTS = {
    "CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE_CONV": 1, "FULLY_CONNECTED": 1, "BATCH_MATMUL": 1,
    "EMBEDDING_LOOKUP": 1,
}  # fmt: skip
_WITHOUT_NUMPY_TYPE = frozenset({"int4", "uint4", "int2", "object", "bfloat16", "resource", "variant"})
_NO_TENSOR = -1


class Graph:
    """A reader of a ``ModelT``; made anew after the operators or tensors were changed."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.subgraph = model.subgraphs[0]
        self.tensors = self.subgraph.tensors
        self.operators = list(self.subgraph.operators or ())
        self.inputs = [int(index) for index in self.subgraph.inputs]
        self.outputs = [int(index) for index in self.subgraph.outputs]
        self._producers = {output: operator for operator in self.operators for output in outputs_of(operator)}
        self._consumers: dict[int, list[Any]] = {}
        for operator in self.operators:
            for index in dict.fromkeys(inputs_of(operator)):
                self._consumers.setdefault(index, []).append(operator)

    def kind(self, operator: Any) -> str:
        """Return an operator's name in the schema; "CUSTOM:Name" for a custom one."""
        return code_name(self.model.operatorCodes[operator.opcodeIndex])

    def producer(self, tensor: int) -> Any | None:
        """Return the operator that makes a tensor, None for inputs and stored values."""
        return self._producers.get(tensor)

    def consumers(self, tensor: int) -> list[Any]:
        """Return the operators that read a tensor, each once."""
        return self._consumers.get(tensor, [])

    def name(self, tensor: int) -> str:
        """Return a tensor's name."""
        return (self.tensors[tensor].name or b"").decode("utf-8", "replace")

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return a tensor's shape."""
        sizes = self.tensors[tensor].shape
        return () if sizes is None else tuple(int(size) for size in sizes)

    def data(self, tensor: int) -> NDArray[np.uint8] | None:
        """Return the stored bytes of a tensor, None when it is made while the model runs."""
        found = self.model.buffers[self.tensors[tensor].buffer].data
        return None if found is None or len(found) == 0 else np.asarray(found, np.uint8)

    def values(self, tensor: int) -> NDArray[Any] | None:
        """Return the stored values of a dense tensor in its shape and dtype, None when it has none."""
        data, dtype = self.data(tensor), DTYPES[self.tensors[tensor].type]
        if data is None or self.tensors[tensor].sparsity is not None or dtype in _WITHOUT_NUMPY_TYPE:
            return None
        return np.frombuffer(data.tobytes(), np.dtype(dtype)).reshape(self.shape(tensor))

    def weights(self) -> Iterator[tuple[Any, int, NDArray[np.float32]]]:
        """Yield the dense float32 weights of layers: operator, tensor and values, a shared tensor once."""
        seen: set[int] = set()
        for operator in self.operators:
            place = WEIGHT_INPUTS.get(self.kind(operator))
            sources = inputs_of(operator)
            if place is None or place >= len(sources) or sources[place] in seen:
                continue
            tensor = sources[place]
            values = self.values(tensor) if self.tensors[tensor].type == FLOAT32_TYPE else None
            if values is not None:
                seen.add(tensor)
                yield operator, tensor, values


def code_name(code: Any) -> str:
    """Return the name of an operator code; files of before 2020 have only the byte, which ends at 127."""
    number = max(int(code.deprecatedBuiltinCode), int(code.builtinCode))
    name = BUILTIN_NAMES[number] if 0 <= number < len(BUILTIN_NAMES) else f"BUILTIN_{number}"
    return f"{CUSTOM}:{(code.customCode or b'').decode('utf-8', 'replace')}" if name == CUSTOM else name


def inputs_of(operator: Any) -> list[int]:
    """Return the tensors that an operator reads, without those that are left out."""
    return [int(index) for index in _listed(operator.inputs) if index != _NO_TENSOR]


def outputs_of(operator: Any) -> list[int]:
    """Return the tensors that an operator makes."""
    return [int(index) for index in _listed(operator.outputs) if index != _NO_TENSOR]


def is_quantized(tensor: Any) -> bool:
    """Return whether a tensor holds numbers with a scale."""
    scale = None if tensor.quantization is None else tensor.quantization.scale
    return scale is not None and len(scale) > 0


def _listed(indices: Any) -> Any:
    return () if indices is None else indices

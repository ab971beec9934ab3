"""The weight and bias of a layer, seen by output and input channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto

LAYER_OPS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


class LayerWeights:
    """A layer's numbers in float64; the weight as [g, M, C, k]: groups, outputs and inputs of a group, kernel."""

    def __init__(self, node: NodeProto, weight: NDArray[Any], bias: NDArray[Any] | None) -> None:
        self.node = node
        self._shape, self._dtype = weight.shape, weight.dtype
        flags = {one.name: one.i for one in node.attribute if one.name in {"group", "transB"}}
        self._groups = int(flags.get("group", 1))
        self._is_transposed = node.op_type == "Gemm" and bool(flags.get("transB", 0))
        self._values = self._grouped(weight.astype(np.float64))
        self.bias = None if bias is None else bias.astype(np.float64)

    @property
    def output_count(self) -> int:
        """The output channels."""
        return int(self._values.shape[0] * self._values.shape[1])

    @property
    def input_count(self) -> int:
        """The input channels, or columns."""
        return int(self._values.shape[0] * self._values.shape[2])

    def output_ranges(self) -> NDArray[np.float64]:
        """Return the largest magnitude of each output channel."""
        found: NDArray[np.float64] = np.abs(self._values).max(axis=(2, 3)).reshape(-1)
        return found

    def input_ranges(self, channels: int) -> NDArray[np.float64]:
        """Return the largest magnitude of each of ``channels`` inputs; a flattened channel has several columns."""
        found: NDArray[np.float64] = np.abs(self._values).max(axis=(1, 3)).reshape(channels, -1).max(axis=1)
        return found

    def divide_outputs(self, scale: NDArray[np.float64]) -> None:
        """Divide each output channel, bias included, by its scale [outputs]."""
        self._values /= scale.reshape(*self._values.shape[:2], 1, 1)
        if self.bias is not None:
            self.bias /= scale

    def multiply_inputs(self, scale: NDArray[np.float64]) -> None:
        """Multiply each input channel by its scale [channels]."""
        columns = np.repeat(scale, self.input_count // scale.size)
        self._values *= columns.reshape(self._values.shape[0], 1, self._values.shape[2], 1)

    def answer_to(self, shift: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what a constant ``shift`` [channels] of the inputs adds to each output [outputs]."""
        columns = np.repeat(shift, self.input_count // shift.size)
        by_group = columns.reshape(self._values.shape[0], 1, self._values.shape[2], 1)
        found: NDArray[np.float64] = (self._values * by_group).sum(axis=(2, 3)).reshape(-1)
        return found

    def weight(self) -> NDArray[Any]:
        """Return the weight in its stored shape and type."""
        if self.node.op_type == "Conv":
            plain = self._values
        elif self.node.op_type == "ConvTranspose":
            plain = self._values.transpose(0, 2, 1, 3)
        else:
            plain = self._values[0, :, :, 0]
            plain = plain if self._is_transposed else plain.T
        return np.ascontiguousarray(plain.reshape(self._shape), dtype=self._dtype)

    def _grouped(self, weight: NDArray[Any]) -> NDArray[Any]:
        if self.node.op_type == "Conv":
            return weight.reshape(self._groups, weight.shape[0] // self._groups, weight.shape[1], -1).copy()
        if self.node.op_type == "ConvTranspose":
            groups = weight.reshape(self._groups, weight.shape[0] // self._groups, weight.shape[1], -1)
            return groups.transpose(0, 2, 1, 3).copy()
        by_output = weight if self._is_transposed else weight.T
        return by_output[np.newaxis, :, :, np.newaxis].copy()

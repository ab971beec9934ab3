"""A layer as matrix products: rows of its input, its weight as columns, for convolutions by im2col at drawn positions.

Shapes: ``g`` groups, ``R`` rows, ``K`` products a sum (input channels of a group times kernel), ``M`` outputs a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.qdq.graph import Unit

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """What a Conv node says about its arithmetic, a value a spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int
    pads: tuple[int, ...]
    auto_pad: str

    def padding(self, size: tuple[int, ...]) -> list[tuple[int, int]]:
        """Return the zeros before and after each spatial axis of an input of this size."""
        rank = len(self.kernel)
        if self.auto_pad not in {"SAME_UPPER", "SAME_LOWER"}:
            return [(self.pads[axis], self.pads[axis + rank]) for axis in range(rank)]
        found = []
        for axis in range(rank):
            outputs = -(-size[axis] // self.strides[axis])
            reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1
            total = max((outputs - 1) * self.strides[axis] + reach - size[axis], 0)
            small, large = total // 2, total - total // 2
            found.append((small, large) if self.auto_pad == "SAME_UPPER" else (large, small))
        return found


def convolution(node: NodeProto, kernel: tuple[int, ...]) -> Convolution:
    """Return the arithmetic of a Conv node whose weight has this kernel."""
    import onnx

    given: dict[str, Any] = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    rank = len(kernel)
    auto_pad = given.get("auto_pad", b"NOTSET").decode()
    return Convolution(
        kernel=kernel,
        strides=tuple(given.get("strides", [1] * rank)),
        dilations=tuple(given.get("dilations", [1] * rank)),
        groups=int(given.get("group", 1)),
        pads=tuple(given.get("pads", [0] * 2 * rank)) if auto_pad == "NOTSET" else (0,) * 2 * rank,
        auto_pad=auto_pad,
    )


class LayerRows:
    """Turns one layer's tensors into rows and back; Conv, Gemm and MatMul with a two-dimensional weight."""

    def __init__(self, unit: Unit, weight_shape: tuple[int, ...]) -> None:
        self._shape = weight_shape
        self._is_conv = unit.op_type == "Conv"
        self._conv = convolution(unit.node, weight_shape[2:]) if self._is_conv else None
        flags = {one.name: one.i for one in unit.node.attribute if one.name in {"transA", "transB"}}
        self._is_transposed = bool(flags.get("transB", 0))
        self.groups = self._conv.groups if self._conv else 1

    @staticmethod
    def takes(unit: Unit, weight_rank: int) -> bool:
        """Return whether the layer's arithmetic is known here."""
        if unit.op_type == "Conv":
            return weight_rank >= 3
        plain = all(
            (one.name != "transA" or one.i == 0) and (one.name != "alpha" or one.f == 1.0)
            for one in unit.node.attribute
        )
        return unit.op_type in {"Gemm", "MatMul"} and weight_rank == 2 and plain

    @property
    def products(self) -> int:
        """K."""
        return int(self.to_columns(np.empty(self._shape, dtype=np.int8)).shape[1])

    def to_columns(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Return a weight in its stored shape as [g, K, M]."""
        if self._is_conv:
            return weight.reshape(self.groups, self._shape[0] // self.groups, -1).transpose(0, 2, 1)
        return (weight.T if self._is_transposed else weight)[np.newaxis]

    def from_columns(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Return [g, K, M] in the weight's stored shape."""
        if self._is_conv:
            return np.ascontiguousarray(columns.transpose(0, 2, 1)).reshape(self._shape)
        return np.ascontiguousarray(columns[0].T if self._is_transposed else columns[0])

    def drawn(
        self, inputs: NDArray[Any], outputs: NDArray[Any], count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return ``count`` drawn rows [g, R, K] of a batch of inputs with the outputs [g, R, M] that belong to them."""
        if self._conv is not None:
            return self._drawn_positions(self._conv, inputs, outputs, count, rng)
        rows = inputs.reshape(-1, inputs.shape[-1])
        found = outputs.reshape(-1, outputs.shape[-1])
        at = rng.permutation(rows.shape[0])[:count]
        return rows[np.newaxis, at], found[np.newaxis, at]

    def _drawn_positions(
        self,
        conv: Convolution,
        inputs: NDArray[Any],
        outputs: NDArray[Any],
        count: int,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        spatial = outputs.shape[2:]
        total = outputs.shape[0] * int(np.prod(spatial))
        drawn = rng.permutation(total)[:count] if total <= 4 * count else rng.integers(0, total, count)
        sample, *at = np.unravel_index(drawn, (outputs.shape[0], *spatial))
        padded = np.pad(inputs, [(0, 0), (0, 0), *conv.padding(inputs.shape[2:])])
        # Index arrays [R, 1, ...] for the position and [1, ..., k, ...] for the place in the kernel, axis by axis.
        rank = len(spatial)
        index: list[NDArray[Any]] = []
        for axis in range(rank):
            places = np.arange(conv.kernel[axis]) * conv.dilations[axis]
            starts = at[axis] * conv.strides[axis]
            shape = [1] * (rank + 1)
            shape[axis + 1] = conv.kernel[axis]
            index.append(starts.reshape(-1, *[1] * rank) + places.reshape(shape))
        taken = np.moveaxis(padded, 1, -1)[(sample.reshape(-1, *[1] * rank), *index)]  # [R, k..., C]
        groups, rows = conv.groups, len(drawn)
        taken = taken.reshape(rows, -1, groups, inputs.shape[1] // groups).transpose(2, 0, 3, 1)  # [g, R, C/g, k]
        found = np.moveaxis(outputs, 1, -1)[(sample, *at)].reshape(rows, groups, -1).transpose(1, 0, 2)
        return np.ascontiguousarray(taken.reshape(groups, rows, -1)), np.ascontiguousarray(found)

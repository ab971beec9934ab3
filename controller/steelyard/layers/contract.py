"""Layers of a model and their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One node of a model's file.

    ``mac_count`` are the products that convolutions and matrix products add up, every tap of a kernel counted, those on
    padding too; element-wise arithmetic, pooling and normalisation count 0. None where it is not known, with why in
    ``reason``. ``parameter_count`` are the stored weights and biases that it reads, without scales and zero points.
    ``byte_count`` is what it reads and writes, None where a shape is not known. ``weight_dtype`` is the numpy name of
    its stored weights' type, "" without any. ``weight_shape`` is the shape of what it multiplies its input with, as
    the file has it, () where that is not known. ``is_depthwise``: a convolution whose every channel is one by itself.
    """

    index: int
    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    mac_count: int | None
    parameter_count: int
    byte_count: int | None
    weight_dtype: str = ""
    weight_shape: tuple[int, ...] = ()
    is_depthwise: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse counts that are less than nothing."""
        for count in (self.mac_count, self.parameter_count, self.byte_count):
            if count is not None and count < 0:
                raise ValueError(f"layer {self.name!r} has a count of {count}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTable:
    """The layers of a model in the order of its file.

    ``parameter_count`` counts each stored tensor once, however many layers read it.
    """

    layers: tuple[Layer, ...]
    parameter_count: int

    @property
    def counted_mac_count(self) -> int:
        """Multiply-accumulates of the layers whose are known."""
        return sum(layer.mac_count or 0 for layer in self.layers)

    @property
    def not_counted(self) -> tuple[Layer, ...]:
        """Layers whose multiply-accumulates are not known."""
        return tuple(layer for layer in self.layers if layer.mac_count is None)

    @property
    def mac_count(self) -> int | None:
        """Multiply-accumulates of the whole model, None when those of one layer are not known."""
        return None if self.not_counted else self.counted_mac_count

    @property
    def byte_count(self) -> int | None:
        """Bytes that all layers read and write, None when those of one layer are not known."""
        counts = [layer.byte_count for layer in self.layers]
        return None if None in counts else sum(count or 0 for count in counts)

    def of_weight_dtypes(self, dtypes: frozenset[str]) -> int:
        """Return the multiply-accumulates of the layers whose weights have one of these types."""
        return sum(layer.mac_count or 0 for layer in self.layers if layer.weight_dtype in dtypes)


Shapes = Mapping[str, Sequence[int]]


def refuse_unknown_inputs(given: Shapes, names: Sequence[str]) -> None:
    """Refuse sizes of an input that is not among ``names``.

    Raises:
        UsageError: with the inputs that there are.
    """
    for name in given:
        if name not in names:
            raise UsageError("unknown_input", f"the model has no input {name!r}; it has {', '.join(sorted(names))}")

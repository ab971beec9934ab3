"""Tensor specifications as people read them."""

from __future__ import annotations

from steelyard_protocol.v1 import common_pb2


def dimension(one: common_pb2.Dimension) -> int | str | None:
    """Return the size, the name of a dynamic dimension, or None when it has none."""
    if one.WhichOneof("kind") == "size":
        return one.size
    return one.symbol or None


def shape_text(spec: common_pb2.TensorSpec) -> str:
    """Return "float32 [batch, 1, 28, 28]"; a dynamic dimension without a name is "?"."""
    sizes = (dimension(one) for one in spec.dimensions)
    return f"{spec.dtype} [{', '.join('?' if size is None else str(size) for size in sizes)}]"

"""Layers with the shapes of their weights, and tables of them of which the costs of layers tell a speed."""

from __future__ import annotations

import math

from steelyard.layers.contract import Layer, LayerTable


def layer(
    kind: str, given: str, made: str, *, positions: int = 0, weights: tuple[int, ...] = (), **more: object
) -> Layer:
    """One layer; ``weights`` is the shape of what it multiplies with at ``positions`` places."""
    count = math.prod(weights)
    settings: dict[str, object] = {
        "mac_count": positions * count if weights else 0,
        "parameter_count": count if weights else 0,
        "byte_count": 4000,
        "weight_dtype": "float32" if weights else "",
        "weight_shape": weights,
    } | more
    return Layer(index=0, name=made, kind=kind, inputs=(given,), outputs=(made,), **settings)  # type: ignore[arg-type]


def table(*layers: Layer) -> LayerTable:
    return LayerTable(layers=layers, parameter_count=sum(one.parameter_count for one in layers))


WIDE = table(
    layer("Conv", "x", "a", positions=1024, weights=(64, 64, 3, 3)),
    layer("Relu", "a", "b"),
    layer("Conv", "b", "y", positions=1024, weights=(64, 64, 3, 3)),
)
# Few channels by themselves, at many places: the 8-bit kernel runs those beyond a block of 16 one by one.
BY_CHANNEL = table(
    layer("Conv", "x", "a", positions=4096, weights=(12, 1, 3, 3), is_depthwise=True),
    layer("Conv", "a", "y", positions=4096, weights=(12, 12, 1, 1)),
)
PRODUCTS = table(*(layer("Gemm", f"a{index}", f"a{index + 1}", positions=1, weights=(256, 256)) for index in range(6)))

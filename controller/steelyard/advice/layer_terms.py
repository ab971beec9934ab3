"""What a model's time is made of, by the shapes of its layers: calls, products and results by kind of kernel.

Kernels are those of ONNX Runtime's default provider on processors with vectors of sixteen floats. In float,
convolutions over planes run in blocks of 16 channels (MlasNchwc) where their channels divide by 4 or their input has
fewer than 16; others are unrolled and multiplied. In 8 bits they run with the channels last: depthwise ones by
themselves, all others as matrix products of groups of four bytes, and channels beyond a multiple of 16 (in part of 8
or 4) run one by one. Which of these matters, and how much, synthetic networks tell (``kernel_costs``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from steelyard.advice.families import CONVOLUTION, OTHER, PRODUCT, family_of
from steelyard.layers.contract import Layer, LayerTable

DEPTHWISE = "depthwise convolutions"
POINTWISE = "pointwise convolutions"
DENSE = "dense convolutions"
PRODUCTS = "matrix products"
OTHERS = "other operators"
_BLOCK, _HALF_BLOCK, _ALIGNED = 16, 8, 4
_PLANE_RANK = 4
# Folded into the layer before them, or nothing is computed at all. BatchNormalization: behind convolutions alone.
_FREE = frozenset({
    *("Relu", "Clip", "BatchNormalization", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"),
    *("Shape", "Constant", "ConstantOfShape", "Cast"),
})  # fmt: skip
_NORMALIZATION = "BatchNormalization"
_POOLING = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax"})
_MOVING = frozenset({"Concat", "Transpose", "Pad", "Slice", "Split", "Gather", "Resize"})
_ARITHMETIC = frozenset({"Add", "Mul", "Sub"})
# One kind of kernel each: some have 8-bit kernels, others have conversions around them.
_FUNCTIONS = frozenset({"HardSwish", "HardSigmoid", "Sigmoid", "LeakyRelu", "Tanh", "Softmax"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTerms:
    """What a layer's time is a weighted sum of: ``kernel`` names the kind, ``counts`` are by the term's name.

    ``group`` is what people call the kind, ``family`` its family of operators. ``is_known`` is False for an operator
    of a kind that no synthetic network has; its bytes are then all that is known.
    """

    kernel: str
    group: str
    family: str
    counts: dict[str, float] = field(default_factory=dict)
    weight_count: int = 0
    is_known: bool = True

    @property
    def byte_count(self) -> float:
        """What an operator that does not multiply reads and writes."""
        return self.counts.get("bytes", 0.0)


def float_terms(table: LayerTable) -> list[LayerTerms]:
    """Return the terms of every layer that takes time in float32."""
    return [*_model_terms(table), *(_float_layer(layer, shape) for layer, shape in _working(table, folds=False))]


def int8_terms(table: LayerTable) -> list[LayerTerms]:
    """Return the terms of every layer that takes time in 8 bits; normalization is folded into matrix products too."""
    return [*_model_terms(table), *(_int8_layer(layer, shape) for layer, shape in _working(table, folds=True))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """A convolution's sizes: channels out and in (of one group), taps of a kernel, and positions of the result."""

    out: int
    given: int
    taps: int
    positions: float
    is_depthwise: bool
    is_plane: bool

    @property
    def blocked(self) -> int:
        return -(-self.out // _BLOCK) * _BLOCK

    @property
    def group(self) -> str:
        return DEPTHWISE if self.is_depthwise else POINTWISE if self.taps == 1 else DENSE


def _working(table: LayerTable, *, folds: bool) -> Iterator[tuple[Layer, _Shape | None]]:
    makers = {name: layer for layer in table.layers for name in layer.outputs}
    for layer in table.layers:
        before = makers.get(layer.inputs[0]) if layer.inputs else None
        is_left = (
            layer.kind == _NORMALIZATION and not folds and before is not None and family_of(before.kind) == PRODUCT
        )
        if is_left or layer.kind not in _FREE:
            yield layer, _convolution(layer)


def _model_terms(table: LayerTable) -> list[LayerTerms]:
    """Return one call of the whole, and its input where a convolution reads it: it is turned, or converted."""
    counts = {"calls": 1.0}
    first = next((layer for layer in table.layers if _convolution(layer) is not None), None)
    shape = None if first is None else _convolution(first)
    if first is not None and shape is not None and first.byte_count is not None:
        results = shape.out * (shape.positions + 1)
        counts["elements"] = max(0.0, first.byte_count / 4 - math.prod(first.weight_shape) - results)
    return [LayerTerms(kernel="model", group=OTHERS, family=OTHER, counts=counts)]


def _convolution(layer: Layer) -> _Shape | None:
    if family_of(layer.kind) != CONVOLUTION or len(layer.weight_shape) <= 2 or not layer.mac_count:
        return None
    return _Shape(
        out=layer.weight_shape[0],
        given=layer.weight_shape[1],
        taps=math.prod(layer.weight_shape[2:]),
        positions=layer.mac_count / math.prod(layer.weight_shape),
        is_depthwise=layer.is_depthwise,
        is_plane=len(layer.weight_shape) == _PLANE_RANK,
    )


def _float_layer(layer: Layer, shape: _Shape | None) -> LayerTerms:
    if shape is None:
        return _other_layer(layer)
    if shape.is_depthwise:
        kernel, counts = _float_depthwise(shape)
    elif not shape.is_plane or (shape.given >= _BLOCK and shape.given % _ALIGNED):
        depth = shape.given * shape.taps
        kernel = "unrolled"
        counts = {"products": shape.positions * shape.out * depth, "unrolled": shape.positions * depth}
    else:
        kernel = "narrow" if shape.given < _BLOCK else "pointwise" if shape.taps == 1 else "dense"
        products = shape.positions * shape.blocked * shape.given * shape.taps
        counts = {"products": products, "results": shape.positions * shape.blocked}
    return _convolution_terms(kernel, shape, counts)


def _float_depthwise(shape: _Shape) -> tuple[str, dict[str, float]]:
    if shape.is_plane and shape.out % _ALIGNED == 0:
        products = shape.positions * shape.blocked * shape.taps
        return "depthwise blocked", {"products": products, "results": shape.positions * shape.blocked}
    products = shape.positions * shape.out * shape.taps
    return "depthwise plain", {
        "products": products,
        "results": shape.positions * shape.out,
        "channels": float(shape.out),
    }


def _int8_layer(layer: Layer, shape: _Shape | None) -> LayerTerms:
    if shape is None:
        return _other_layer(layer)
    rest = shape.out % _BLOCK
    if shape.is_depthwise:
        kernel = "depthwise"
        counts = {
            "products": shape.positions * (shape.out - rest) * shape.taps,
            "rest products": shape.positions * rest * shape.taps,
            "odd products": shape.positions * (shape.out % _HALF_BLOCK) * shape.taps,
            "taps": shape.positions * shape.taps,
        }
    else:
        kernel = "pointwise" if shape.taps == 1 else "dense"
        depth = -(-shape.given * shape.taps // _ALIGNED) * _ALIGNED
        counts = {
            "products": shape.positions * shape.blocked * depth,
            "results": shape.positions * shape.out,
            "unrolled": shape.positions * shape.given * shape.taps,
            "positions": shape.positions,
        }
    counts["rest results"] = shape.positions * rest
    counts["odd results"] = shape.positions * (shape.out % _ALIGNED)
    return _convolution_terms(kernel, shape, counts)


def _convolution_terms(kernel: str, shape: _Shape, counts: dict[str, float]) -> LayerTerms:
    return LayerTerms(kernel=kernel, group=shape.group, family=CONVOLUTION, counts={"calls": 1.0, **counts})


def _other_layer(layer: Layer) -> LayerTerms:
    family = family_of(layer.kind)
    if family == PRODUCT and layer.mac_count and layer.weight_dtype and len(layer.weight_shape) == 2:
        count = math.prod(layer.weight_shape)
        counts = {"calls": 1.0, "weights": float(count), "products": float(layer.mac_count)}
        return LayerTerms(kernel="product", group=PRODUCTS, family=family, counts=counts, weight_count=count)
    kernel = _other_kernel(layer.kind)
    return LayerTerms(
        kernel=kernel or "moving",
        group=OTHERS,
        family=family,
        counts={"calls": 1.0, "bytes": float(layer.byte_count or 0)},
        is_known=bool(kernel) and layer.byte_count is not None,
    )


def _other_kernel(kind: str) -> str:
    if kind in _FUNCTIONS:
        return kind
    if kind == _NORMALIZATION or kind in _ARITHMETIC:
        return "arithmetic"
    return "pooling" if kind in _POOLING else "moving" if kind in _MOVING else ""

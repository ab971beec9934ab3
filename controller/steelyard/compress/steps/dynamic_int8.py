"""Dynamic int8: weights stored in 8 bits, activations quantized while the model runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from steelyard.compress.contract import FLOAT32, INT8, ONNX, TFLITE, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.folding import fold
from steelyard.compress.model_form import QUANTIZED_OPS, float_bodies_note, op_counts
from steelyard.compress.preparation.node_names import matching_nodes
from steelyard.compress.preparation.recurrent_inputs import recurrent_layers_at_inputs
from steelyard.compress.processor import resolve_reduce_range
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import (
    AUTO,
    require_boolean,
    require_boolean_or_auto,
    require_choice,
    require_count,
    require_globs,
)
from steelyard.compress.tools import tool_errors, tool_versions

if TYPE_CHECKING:
    from onnx import ModelProto

# Dynamic convolution ran at 0.10x to 0.17x of float32 where MatMul gained: only these, unless all_ops is set.
_PAYING_OPS = ("MatMul", "Gemm", "LSTM")
_WEIGHT_INPUTS = {"MatMul": (1,), "Gemm": (1,), "LSTM": (1, 2)}
_PRODUCTS = ("MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM", "QAttention")
# DynamicQuantizeLinear came with opset 11; what onnxruntime writes in its place below gave wrong numbers (1.32).
_LEAST_OPSET = 11
# What onnxruntime calls the MatMul that it makes of a Gemm.
_MATMUL_SUFFIX = "_MatMul"
# Eight layers against float32, one thread, x86 with VNNI: 64 x 64 ran at 0.58x for one row and 0.94x for 32 rows,
# 96 x 96 at 0.66x and 1.32x, 128 x 128 at 0.79x and 2.06x, 256 x 256 at 1.89x and 2.60x. Below this it never paid.
DEFAULT_MIN_WEIGHTS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicInt8:
    """Quantize MatMul, Gemm and LSTM (``all_ops``: everything that onnxruntime can) with scales found at run time.

    Layers of fewer than ``min_weights`` weights stay in float beside larger ones: finding the scale of their input
    costs more than the product gains. So do LSTM layers that read the model's input beside others, and a model with
    LSTM gets a scale a channel, whatever ``per_channel`` says: 8 bits cost it the least that way. ``keep_float`` are
    patterns of node names or operators that stay in float.
    ``reduce_range`` "auto" gives weights 7 bits where sums of u8 and s8 saturate. ``weight_type`` "int4" is for TFLite.
    """

    kind: ClassVar[str] = "dynamic-int8"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = INT8
    formats: ClassVar[frozenset[str]] = frozenset({ONNX, TFLITE})
    needs_float_ancestor: ClassVar[bool] = False

    weight_type: str = "int8"
    per_channel: bool = False
    reduce_range: bool | str = AUTO
    all_ops: bool = False
    min_weights: int = DEFAULT_MIN_WEIGHTS
    keep_float: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings of another type and combinations that no kernel runs."""
        require_choice(self.kind, "weight_type", self.weight_type, ("int8", "uint8", "int4"))
        require_boolean(self.kind, "per_channel", self.per_channel)
        require_boolean_or_auto(self.kind, "reduce_range", self.reduce_range)
        require_boolean(self.kind, "all_ops", self.all_ops)
        require_count(self.kind, "min_weights", self.min_weights, least=0)
        require_globs(self.kind, "keep_float", self.keep_float)
        object.__setattr__(self, "keep_float", tuple(self.keep_float))
        if self.all_ops and self.weight_type == "int8":
            raise RecipeError(
                "impossible_setting",
                f'{self.kind}: all_ops with weight_type "int8" makes convolutions that onnxruntime has no CPU kernel '
                'for; write weight_type = "uint8"',
            )

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the quantized model.

        Raises:
            CompressionInputError: a pattern that matches nothing, or a model with nothing that this step quantizes.
            CompressionError: the quantizer failed.
        """
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        if self.weight_type == "int4":
            raise CompressionInputError(
                "unsupported_setting",
                f"{self.kind}: weight_type is 'int4', which onnxruntime does not multiply with activations in 8 bits; "
                "write weight-only with bits = 4, or give the TFLite export of the model",
            )
        reduce_range = resolve_reduce_range(self.reduce_range, context.processor_features, weight_type=self.weight_type)
        folded_path = context.work_dir / "dynamic-folded.onnx"
        context.progress("quantizing weights", 0, 1)
        fold(model_path, folded_path, min_opset=_LEAST_OPSET)
        folded = onnx.load_model(folded_path)
        tiny, tiny_note = self._tiny(folded)
        kept = matching_nodes(folded.graph.node, self.keep_float, kind=self.kind, key="keep_float") | tiny
        at_inputs = recurrent_layers_at_inputs(folded)
        kept |= at_inputs
        per_channel = self.per_channel or op_counts(folded)["LSTM"] > 0
        with tool_errors("dynamic quantization"):
            quantize_dynamic(
                folded_path,
                out_path,
                op_types_to_quantize=None if self.all_ops else list(_PAYING_OPS),
                nodes_to_exclude=sorted(kept | {name + _MATMUL_SUFFIX for name in kept}),
                per_channel=per_channel,
                reduce_range=reduce_range,
                weight_type=QuantType.QInt8 if self.weight_type == "int8" else QuantType.QUInt8,
            )
        quantized = onnx.load_model(out_path)
        note = self._quantized_note(model_path, folded, quantized)
        context.progress("quantizing weights", 1, 1)
        return StepReport(
            settings={**step_settings(self), "reduce_range": reduce_range, "per_channel": per_channel},
            tool_versions=tool_versions("onnxruntime", "onnx"),
            notes=(note, *tiny_note, *_at_inputs_note(at_inputs), *float_bodies_note(quantized)),
        )

    def _tiny(self, model: ModelProto) -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the nodes that are too small to gain, with a note; none of them when all are."""
        sizes = _weight_counts(model)
        tiny = frozenset(name for name, count in sizes.items() if count < self.min_weights)
        if not tiny:
            return tiny, ()
        if len(tiny) == len(sizes):
            return frozenset(), (
                f"every layer has fewer than {self.min_weights} weights: expect no gain from dynamic quantization",
            )
        return tiny, (f"{len(tiny)} layers of fewer than {self.min_weights} weights stay in float",)

    def _quantized_note(self, model_path: Path, before: ModelProto, after: ModelProto) -> str:
        parent, variant = op_counts(before), op_counts(after)
        quantized_count = sum(variant[op] for op in _PRODUCTS)
        if not quantized_count and QUANTIZED_OPS.isdisjoint(variant):
            raise CompressionInputError(
                "nothing_to_quantize",
                f"{model_path.name} has no MatMul, Gemm or LSTM with constant weights, which is what dynamic int8 "
                "quantizes; use static-int8" + ("" if self.all_ops else ", or set all_ops (slower on most processors)"),
            )
        total = sum(parent[op] for op in (*_PAYING_OPS, "Conv", "Attention"))
        return f"{quantized_count} of {total} matrix products, convolutions and recurrent layers were quantized"


def _at_inputs_note(names: frozenset[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"{len(names)} LSTM layers that read the model's input stay in float: their inputs may span decades",)


def _weight_counts(model: ModelProto) -> dict[str, int]:
    """Return the number of stored weights of each layer that pays, by the name of its node."""
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    counts = {}
    for node in model.graph.node:
        names = [node.input[index] for index in _WEIGHT_INPUTS.get(node.op_type, ()) if index < len(node.input)]
        if names and all(name in sizes for name in names):
            counts[node.name] = sum(sizes[name] for name in names)
    return counts

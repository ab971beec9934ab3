"""Dynamic int8: weights stored in 8 bits, activations quantized while the model runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.contract import FLOAT32, INT8, ONNX, TFLITE, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.folding import fold
from steelyard.compress.model_form import QUANTIZED_OPS, op_counts
from steelyard.compress.processor import resolve_reduce_range
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import AUTO, require_boolean, require_boolean_or_auto, require_choice
from steelyard.compress.tools import tool_errors, tool_versions

# Dynamic convolution ran at 0.10x to 0.17x of float32 where MatMul gained: only these, unless all_ops is set.
_PAYING_OPS = ("MatMul", "Gemm")
_PRODUCTS = ("MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM", "QAttention")


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicInt8:
    """Quantize MatMul and Gemm (``all_ops``: everything that onnxruntime can) with scales found at run time.

    ``reduce_range`` "auto" gives weights 7 bits where sums of u8 and s8 saturate.
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

    def __post_init__(self) -> None:
        """Refuse settings of another type and combinations that no kernel runs."""
        require_choice(self.kind, "weight_type", self.weight_type, ("int8", "uint8"))
        require_boolean(self.kind, "per_channel", self.per_channel)
        require_boolean_or_auto(self.kind, "reduce_range", self.reduce_range)
        require_boolean(self.kind, "all_ops", self.all_ops)
        if self.all_ops and self.weight_type == "int8":
            raise RecipeError(
                "impossible_setting",
                f'{self.kind}: all_ops with weight_type "int8" makes convolutions that onnxruntime has no CPU kernel '
                'for; write weight_type = "uint8"',
            )

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the quantized model.

        Raises:
            CompressionInputError: the model has nothing that this step quantizes.
            CompressionError: the quantizer failed.
        """
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        reduce_range = resolve_reduce_range(self.reduce_range, context.processor_features, weight_type=self.weight_type)
        folded_path = context.work_dir / "dynamic-folded.onnx"
        context.progress("quantizing weights", 0, 1)
        fold(model_path, folded_path)
        with tool_errors("dynamic quantization"):
            quantize_dynamic(
                folded_path,
                out_path,
                op_types_to_quantize=None if self.all_ops else list(_PAYING_OPS),
                per_channel=self.per_channel,
                reduce_range=reduce_range,
                weight_type=QuantType.QInt8 if self.weight_type == "int8" else QuantType.QUInt8,
            )
        note = self._quantized_note(model_path, onnx.load_model(folded_path), onnx.load_model(out_path))
        context.progress("quantizing weights", 1, 1)
        return StepReport(
            settings={**step_settings(self), "reduce_range": reduce_range},
            tool_versions=tool_versions("onnxruntime", "onnx"),
            notes=(note,),
        )

    def _quantized_note(self, model_path: Path, before: object, after: object) -> str:
        parent, variant = op_counts(before), op_counts(after)
        quantized_count = sum(variant[op] for op in _PRODUCTS)
        if not quantized_count and QUANTIZED_OPS.isdisjoint(variant):
            raise CompressionInputError(
                "nothing_to_quantize",
                f"{model_path.name} has no MatMul or Gemm with constant weights, which is what dynamic int8 quantizes; "
                "use static-int8" + ("" if self.all_ops else ", or set all_ops (slower on most processors)"),
            )
        total = sum(parent[op] for op in (*_PAYING_OPS, "Conv", "LSTM", "Attention"))
        return f"{quantized_count} of {total} matrix products, convolutions and recurrent layers were quantized"

"""Static int8: weights and activations in 8 bits, with activation ranges found on calibration data (QDQ format)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from steelyard.compress.calibration import SAMPLES_AT_ONCE, CalibrationData, CalibrationReader
from steelyard.compress.contract import FLOAT32, INT8, ONNX, TFLITE, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.folding import fold
from steelyard.compress.model_form import op_counts
from steelyard.compress.processor import resolve_reduce_range
from steelyard.compress.recipe import step_settings
from steelyard.compress.sessions import batch_size, check_calibration, open_session
from steelyard.compress.settings import AUTO, require_boolean, require_boolean_or_auto, require_choice
from steelyard.compress.tools import tool_errors, tool_versions

_TYPES = ("int8", "uint8")
_METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
DEFAULT_PERCENTILE = 99.999
# A zero point and a scale a channel came to DequantizeLinear with opset 13.
_PER_CHANNEL_OPSET = 13
# onnxruntime has no 8-bit kernels for normalization on CPUs, so Q/DQ around it only costs time; softmax is sensitive.
_KEPT_IN_FLOAT = frozenset({"InstanceNormalization", "LayerNormalization", "Softmax"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticInt8:
    """Quantize everything that onnxruntime has 8-bit kernels for; by default u8 activations, s8 weights per channel.

    ``calibration_method`` is "minmax", "entropy" or "percentile"; ``percentile`` (0 to 100) is for the last.
    ``reduce_range`` "auto" gives weights 7 bits where sums of u8 and s8 saturate.
    """

    kind: ClassVar[str] = "static-int8"
    needs_calibration: ClassVar[bool] = True
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = INT8
    formats: ClassVar[frozenset[str]] = frozenset({ONNX, TFLITE})
    needs_float_ancestor: ClassVar[bool] = False

    activation_type: str = "uint8"
    weight_type: str = "int8"
    per_channel: bool = True
    reduce_range: bool | str = AUTO
    calibration_method: str = "minmax"
    percentile: float = DEFAULT_PERCENTILE

    def __post_init__(self) -> None:
        """Refuse settings of another type and combinations that no kernel runs."""
        require_choice(self.kind, "activation_type", self.activation_type, _TYPES)
        require_choice(self.kind, "weight_type", self.weight_type, _TYPES)
        require_boolean(self.kind, "per_channel", self.per_channel)
        require_boolean_or_auto(self.kind, "reduce_range", self.reduce_range)
        require_choice(self.kind, "calibration_method", self.calibration_method, tuple(_METHODS))
        self._refuse_impossible()

    def _refuse_impossible(self) -> None:
        if self.activation_type == "int8" and self.weight_type == "uint8":
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: int8 activations with uint8 weights have no kernel; use uint8 activations or int8 "
                "weights",
            )
        if self.per_channel and self.weight_type == "uint8":
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: uint8 weights per channel need a zero point a channel, which convolution kernels do not "
                'take; set per_channel = false or weight_type = "int8"',
            )
        if isinstance(self.percentile, bool) or not isinstance(self.percentile, int | float):
            raise RecipeError("invalid_setting", f"{self.kind}: percentile is {self.percentile!r}; write a number")
        if not 50 < self.percentile <= 100:
            raise RecipeError(
                "invalid_setting", f"{self.kind}: percentile is {self.percentile}; write more than 50 and at most 100"
            )
        if self.calibration_method != "percentile" and self.percentile != DEFAULT_PERCENTILE:
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: percentile is {self.percentile} and calibration_method {self.calibration_method!r} does "
                'not read it; write calibration_method = "percentile"',
            )

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the quantized model; calibration keeps the activations of a few samples at a time.

        Raises:
            CompressionInputError: no or unfit calibration data, or a model with nothing to quantize.
            CompressionError: the quantizer failed.
        """
        reduce_range = resolve_reduce_range(self.reduce_range, context.processor_features, weight_type=self.weight_type)
        folded_path = context.work_dir / "static-folded.onnx"
        context.progress("folding constants", 0, 1)
        fold(model_path, folded_path, min_opset=_PER_CHANNEL_OPSET)
        self._quantize(folded_path, out_path, self._reader(folded_path, context), reduce_range)
        return StepReport(
            settings={**step_settings(self), "reduce_range": reduce_range},
            tool_versions=tool_versions("onnxruntime", "onnx"),
            notes=(self._quantized_note(model_path, out_path),),
        )

    def _reader(self, folded_path: Path, context: StepContext) -> CalibrationReader:
        data: CalibrationData | None = context.calibration
        if data is None:
            raise CompressionInputError(
                "no_calibration_data", f"{self.kind} needs calibration data; give a task with a calibration split"
            )
        session = open_session(folded_path)
        check_calibration(session, data)
        return CalibrationReader(data, batch_size=batch_size(session), progress=context.progress)

    def _quantize(self, folded_path: Path, out_path: Path, reader: CalibrationReader, reduce_range: bool) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

        types = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}
        with tool_errors("static quantization"):
            quantize_static(
                folded_path,
                out_path,
                reader,
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=sorted({*QLinearOpsRegistry, *QDQRegistry} - _KEPT_IN_FLOAT),
                per_channel=self.per_channel,
                reduce_range=reduce_range,
                activation_type=types[self.activation_type],
                weight_type=types[self.weight_type],
                calibrate_method=CalibrationMethod[_METHODS[self.calibration_method]],
                extra_options=self._extra_options(),
            )

    def _extra_options(self) -> dict[str, Any]:
        # Strided: the calibrators reduce what they collected after each range of samples and let it go. (The option
        # CalibMaxIntermediateOutputs of onnxruntime 1.32 lets it go without reducing it, and loses those samples.)
        options: dict[str, Any] = {"CalibStridedMinMax": SAMPLES_AT_ONCE}
        if self.activation_type == "int8":
            options["ActivationSymmetric"] = True
        if self.calibration_method == "percentile":
            # By default onnxruntime makes percentile ranges symmetric, which wastes half of u8 behind a ReLU.
            options |= {"CalibPercentile": float(self.percentile), "CalibTensorRangeSymmetric": False}
        return options

    def _quantized_note(self, model_path: Path, out_path: Path) -> str:
        import onnx

        counts = op_counts(onnx.load_model(out_path))
        if not counts["DequantizeLinear"]:
            raise CompressionInputError(
                "nothing_to_quantize",
                f"{model_path.name} has no operator that static int8 quantizes; try float16",
            )
        return f"{counts['QuantizeLinear']} activations and their weights were quantized"

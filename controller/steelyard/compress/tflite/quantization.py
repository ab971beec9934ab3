"""Static and dynamic int8 of TFLite models: what the steps of these names do for this format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.compress.calibration import required_calibration
from steelyard.compress.calibrators.method_choice import (
    TRIED_SAMPLE_COUNT,
    MethodChoice,
    choose_method,
    stretched_count,
)
from steelyard.compress.calibrators.range_settings import MINMAX, MOVING_AVERAGE, PERCENTILE
from steelyard.compress.contract import StepContext, StepReport
from steelyard.compress.noise import Reference, Runs
from steelyard.compress.recipe import step_settings
from steelyard.compress.sensitivity_report import literal_pattern
from steelyard.compress.settings import AUTO
from steelyard.compress.steps.dynamic_int8 import DynamicInt8
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.compress.tflite.activation_ranges import METHODS, Activations, Range, RangeRule
from steelyard.compress.tflite.conditions import float_graph
from steelyard.compress.tflite.flatbuffer_model import write_model
from steelyard.compress.tflite.float_ends import float_ends
from steelyard.compress.tflite.graph import Graph
from steelyard.compress.tflite.quantizer import (
    ALL_LAYERS,
    TOOLS,
    Rules,
    keep_in_float,
    kept_scopes,
    operators_note,
    quantize,
    refuse_nothing_done,
)
from steelyard.compress.tflite.sessions import Runner
from steelyard.compress.tflite.settings import globs_of, refuse_unhonoured
from steelyard.compress.tools import tool_versions

TRIED_METHODS = (MINMAX, MOVING_AVERAGE, PERCENTILE)
# 16 bits need no clipping.
_NARROW_BITS = 8

_SIGNED_WEIGHTS = 'while TFLite kernels take signed weights; write weight_type = "int8"'
_NO_SATURATION = (
    'while TFLite kernels add products of 8 bits in 32 bits, which never saturates; write reduce_range = "auto"'
)
_STATIC_HONOURED: dict[str, tuple[object, ...]] = {
    "activation_type": (AUTO, "int8", "uint8", "int16"),
    "weight_type": (AUTO, "int8"),
    "per_channel": (AUTO, True, False),
    "reduce_range": (AUTO, False),
    "calibration_method": (AUTO, *METHODS),
}
_STATIC_INSTEAD = {
    "activation_type": 'which TFLite kernels do not have; write "int8" or "int16"',
    "weight_type": _SIGNED_WEIGHTS,
    "reduce_range": _NO_SATURATION,
    "calibration_method": f"which is not there for TFLite models; write one of {', '.join(METHODS)}",
}
_DYNAMIC_HONOURED: dict[str, tuple[object, ...]] = {
    "weight_type": (AUTO, "int8", "int4"),
    "per_channel": (AUTO, True, False),
    "reduce_range": (AUTO, False),
}
_DYNAMIC_INSTEAD = {
    "weight_type": _SIGNED_WEIGHTS,
    "reduce_range": _NO_SATURATION,
    "all_ops": (
        "while depthwise convolutions with scales found at run time ran at a third of float32's speed; leave it out "
        "(matrix products and convolutions are quantized)"
    ),
}
# Operators with fast kernels for weights of so many bits, by litert-quantizer's names. Depthwise convolutions have
# none: a MobileNetV2 with them ran at 0.34x.
_DYNAMIC_OPERATORS = {
    8: ("FULLY_CONNECTED", "CONV_2D", "BATCH_MATMUL", "EMBEDDING_LOOKUP"),
    4: ("FULLY_CONNECTED", "CONV_2D", "EMBEDDING_LOOKUP"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticPlan:
    """What static int8 of one model follows from: the float graph, ranges by name of tensor, bits of activations."""

    parent: Graph
    ranges: Mapping[str, Range]
    bits: int
    per_channel: bool

    def quantized(self, keep_float: Sequence[str]) -> Graph:
        """Return the model with the operators that fit one of these globs left in float, and those at its ends.

        Raises:
            CompressionInputError: unknown_operator: a glob that fits nothing.
            CompressionError: litert-quantizer failed.
        """
        ends = map(literal_pattern, float_ends(self.parent))
        kept = kept_scopes(self.parent, [*keep_float, *ends])
        return quantize(self.parent, _static_rules(self.bits, self.per_channel, kept), ranges=self.ranges)


def static_int8(step: StaticInt8, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
    """Write the model with weights and activations in 8 bits (weights in 8, activations in 16: "int16").

    Inputs and outputs stay float32, with a conversion behind and before them.

    Raises:
        CompressionInputError: the settings, the model or the calibration data do not suit this format.
        CompressionError: litert-quantizer or LiteRT failed.
    """
    plan, choice = static_plan(step, model_path, context)
    context.progress("quantizing", 0, 1)
    made = plan.quantized(globs_of(step, "keep_float"))
    refuse_nothing_done(made, model_path.name, step.kind, "try float16")
    write_model(made.model, out_path)
    context.progress("quantizing", 1, 1)
    resolved = {
        "activation_type": f"int{plan.bits}",
        "weight_type": "int8",
        "per_channel": plan.per_channel,
        "reduce_range": False,
        "calibration_method": choice.method,
    }
    return StepReport(
        settings={**step_settings(step), **resolved},
        tool_versions=tool_versions(*TOOLS),
        notes=(*_static_notes(step, made), *choice.notes),
    )


def _static_notes(step: StaticInt8, made: Graph) -> list[str]:
    notes = [operators_note(made, "compute in 8 bits" if step.activation_type != "int16" else "compute in 16x8 bits")]
    if step.activation_type == "uint8":
        notes.append("TFLite's 8-bit activations are int8 with a zero point, which hold what uint8 ones do")
    if step.activation_type == "int16":
        notes.append("16-bit activations have no fast kernels in LiteRT: they ran 20 to 30 times slower than float32")
    return notes


def static_plan(step: StaticInt8, model_path: Path, context: StepContext) -> tuple[StaticPlan, MethodChoice]:
    """Return what static int8 of a model follows from, and the method that the ranges are by.

    Raises:
        CompressionInputError: the settings, the model or the calibration data do not suit this format.
        CompressionError: LiteRT could not run the model, or litert-quantizer failed.
    """
    refuse_unhonoured(step, _STATIC_HONOURED, _STATIC_INSTEAD)
    parent = float_graph(model_path, step.kind)
    data = required_calibration(step.kind, context)
    bits = 16 if step.activation_type == "int16" else 8
    seen = Activations(model_path, parent, data, context.progress)

    def planned(method: str) -> StaticPlan:
        ranges = seen.ranges(RangeRule(method=method, percentile=step.percentile, bits=bits))
        return StaticPlan(parent=parent, ranges=ranges, bits=bits, per_channel=step.per_channel is not False)

    def quantized(method: str) -> Runs:
        path = context.work_dir / "static-tried.tflite"
        write_model(planned(method).quantized(globs_of(step, "keep_float")).model, path)
        return Runner(path)

    choice = MethodChoice(method=MINMAX if step.calibration_method == AUTO else step.calibration_method)
    stretched = stretched_count(one.widths for one in seen.seen)
    if step.calibration_method == AUTO and stretched and bits == _NARROW_BITS:
        reference = Reference(Runner(model_path), data, TRIED_SAMPLE_COUNT)
        choice = choose_method(TRIED_METHODS, quantized, reference, stretched=stretched, progress=context.progress)
    return planned(choice.method), choice


def _static_rules(activation_bits: int, per_channel: bool, kept_operators: list[str]) -> Rules:
    def rules(quantizer: Any) -> None:
        from litert_quantizer.quantizer import AlgorithmName

        operations = _operations()
        quantizer.add_static_config(
            ALL_LAYERS, operations.ALL_SUPPORTED, activation_bits, 8, weight_granularity=_granularity(per_channel)
        )
        # Inputs and outputs keep their type, so that the task's data and metric fit; a composite is kept whole.
        for kept in (operations.INPUT, operations.OUTPUT, operations.STABLEHLO_COMPOSITE):
            quantizer.update_quantization_recipe(ALL_LAYERS, kept, algorithm_key=AlgorithmName.NO_QUANTIZE)
        keep_in_float(quantizer, kept_operators)

    return rules


def dynamic_int8(step: DynamicInt8, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
    """Write the model with weights of matrix products and convolutions in 8 or 4 bits, scales found at run time.

    Raises:
        CompressionInputError: the settings or the model do not suit this format.
        CompressionError: litert-quantizer failed.
    """
    refuse_unhonoured(step, _DYNAMIC_HONOURED, _DYNAMIC_INSTEAD)
    parent = float_graph(model_path, step.kind)
    bits = 4 if step.weight_type == "int4" else 8
    per_channel = step.per_channel is not False
    context.progress("quantizing weights", 0, 1)
    kept = kept_scopes(parent, globs_of(step, "keep_float"))
    made = quantize(parent, _dynamic_rules(bits, per_channel, kept))
    refuse_nothing_done(made, model_path.name, step.kind, "use static-int8")
    write_model(made.model, out_path)
    context.progress("quantizing weights", 1, 1)
    resolved = {"weight_type": f"int{bits}", "per_channel": per_channel, "reduce_range": False}
    return StepReport(
        settings={**step_settings(step), **resolved},
        tool_versions=tool_versions(*TOOLS),
        notes=(operators_note(made, f"have weights of {bits} bits"),),
    )


def _dynamic_rules(bits: int, per_channel: bool, kept_operators: list[str]) -> Rules:
    def rules(quantizer: Any) -> None:
        operations = _operations()
        for name in _DYNAMIC_OPERATORS[bits]:
            quantizer.add_dynamic_config(ALL_LAYERS, operations(name), bits, granularity=_granularity(per_channel))
        keep_in_float(quantizer, kept_operators)

    return rules


def _operations() -> Any:
    from litert_quantizer.qtyping import TFLOperationName

    return TFLOperationName


def _granularity(per_channel: bool) -> Any:
    from litert_quantizer.qtyping import QuantGranularity

    return QuantGranularity.CHANNELWISE if per_channel else QuantGranularity.TENSORWISE

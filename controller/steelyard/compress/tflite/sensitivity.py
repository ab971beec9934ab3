"""Sensitivity of TFLite models: litert-quantizer quantizes anew for each choice of operators in float."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from steelyard.compress.calibration import required_calibration
from steelyard.compress.contract import StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.noise import Runs
from steelyard.compress.sensitivity import Operator
from steelyard.compress.sensitivity_report import literal_pattern
from steelyard.compress.steps.sensitivity import MeasureSensitivity, measured
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.compress.tflite.flatbuffer_model import write_model
from steelyard.compress.tflite.graph import WEIGHT_INPUTS, Graph, inputs_of, outputs_of
from steelyard.compress.tflite.quantization import StaticPlan, static_plan
from steelyard.compress.tflite.quantizer import TOOLS, computing_operators, reads_quantized
from steelyard.compress.tflite.sessions import Runner


def sensitivity(step: MeasureSensitivity, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
    """Write the model as it is; the report says what each operator costs that static-int8 quantized.

    Raises:
        CompressionInputError: no calibration data, or the recipe quantized in another way.
        CompressionError: litert-quantizer or LiteRT failed.
    """
    required_calibration(step.kind, context)
    ancestor = context.float_ancestor(step.kind)
    static = [one.step for one in context.ancestors if isinstance(one.step, StaticInt8)]
    if not static:
        raise CompressionInputError(
            "no_quantized_layers",
            f"{step.kind} quantizes operators one by one as static-int8 does, and this recipe has no such step; put "
            "static-int8 before it",
        )
    plan, _ = static_plan(static[-1], ancestor.path, context)
    parts = TfliteParts(plan, static[-1].keep_float, ancestor.path, context)
    return measured(step, parts, model_path, out_path, context, tools=TOOLS)


class TfliteParts:
    """The ``PartlyQuantized`` of TFLite models; an operator is named by the first tensor that it makes."""

    def __init__(self, plan: StaticPlan, keep_float: Sequence[str], float_path: Path, context: StepContext) -> None:
        self._plan = plan
        self._keep_float = keep_float
        self._tried_path = context.work_dir / "sensitivity-part.tflite"
        self.float_path = float_path
        self.operators = tuple(self._operator(one) for one in self._quantized_ones())

    def float_runner(self) -> Runs:
        """Return the float model, ready to run."""
        return Runner(self.float_path)

    def runner(self, in_float: Collection[str]) -> Runs:
        """Return the quantized model with the named operators in float, ready to run."""
        self.write(in_float, self._tried_path)
        return Runner(self._tried_path)

    def write(self, in_float: Collection[str], path: Path) -> None:
        """Write the quantized model with the named operators in float."""
        write_model(self._made(in_float).model, path)

    def _made(self, in_float: Collection[str]) -> Graph:
        return self._plan.quantized([*self._keep_float, *sorted(map(literal_pattern, in_float))])

    def _quantized_ones(self) -> list[Any]:
        """Return the operators of the float model that compute in integers once it is quantized."""
        made = self._made(())
        now = computing_operators(made)
        before = computing_operators(self._plan.parent)
        if len(now) != len(before):
            # Operators were fused or split: what has weights is what one would keep in float.
            return [one for one in before if self._plan.parent.kind(one) in WEIGHT_INPUTS]
        return [old for old, new in zip(before, now, strict=True) if reads_quantized(made, new)]

    def _operator(self, operator: Any) -> Operator:
        graph = self._plan.parent
        name = graph.name(outputs_of(operator)[0])
        place = WEIGHT_INPUTS.get(graph.kind(operator))
        sources = inputs_of(operator)
        values = graph.values(sources[place]) if place is not None and place < len(sources) else None
        return Operator(
            name=name, kind=graph.kind(operator), output=name, parameter_count=0 if values is None else int(values.size)
        )

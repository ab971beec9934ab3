"""Static int8: weights and activations in 8 bits, with activation ranges found on calibration data (QDQ format)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from steelyard.compress.calibration import CalibrationData, required_calibration
from steelyard.compress.calibrators.method_choice import MethodChoice
from steelyard.compress.calibrators.observed import observed_tensors, with_clipped
from steelyard.compress.calibrators.range_settings import METHODS, MINMAX, PERCENTILE
from steelyard.compress.calibrators.ranges import observed_activations
from steelyard.compress.contract import FLOAT32, INT8, ONNX, TFLITE, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.folding import fold_for_kernels
from steelyard.compress.model_form import float_bodies_note, op_counts, refuse_handed_through
from steelyard.compress.preparation.float_ends import float_ends
from steelyard.compress.preparation.float_islands import island_nodes
from steelyard.compress.preparation.kept_float import kept_by_rule
from steelyard.compress.preparation.node_names import matching_nodes
from steelyard.compress.processor import resolve_reduce_range
from steelyard.compress.recipe import step_settings
from steelyard.compress.sessions import check_calibration, open_session
from steelyard.compress.settings import (
    AUTO,
    require_boolean,
    require_boolean_or_auto,
    require_choice,
    require_globs,
)
from steelyard.compress.static_plan import StaticPlan
from steelyard.compress.static_quantizer import WIDE_TYPES, Grid, known_ops, quantizable_ops
from steelyard.compress.tools import tool_versions
from steelyard.spelling import first_unknown, meant

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_TYPES = ("int8", "uint8")
DEFAULT_PERCENTILE = 99.999
_LEAST_PERCENTILE, _MOST_PERCENTILE = 50.0, 100.0
# A zero point and a scale a channel came to DequantizeLinear with opset 13.
_PER_CHANNEL_OPSET = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticInt8:
    """Quantize everything that onnxruntime has 8-bit kernels for; by default u8 activations, s8 weights per channel.

    ``calibration_method`` is "minmax", "moving-average" (of the extremes of batches), "entropy", "percentile", "mse" or
    "auto", the extremes unless a few samples stretch them; ``percentile`` (0 to 100) is for that method alone.
    ``symmetric`` puts the ranges of signed activations around zero; "auto" does so for 16 bits. ``keep_float`` are
    patterns of node names or operators that stay in float, ``op_types`` the operators that are quantized (none named:
    all), and ``wide`` patterns of nodes whose activations get 16 bits. ``reduce_range`` "auto" gives weights 7 bits
    where sums of u8 and s8 saturate.
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
    calibration_method: str = AUTO
    percentile: float = DEFAULT_PERCENTILE
    symmetric: bool | str = AUTO
    keep_float: tuple[str, ...] = ()
    op_types: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings of another type and combinations that no kernel runs."""
        require_choice(self.kind, "activation_type", self.activation_type, (*_TYPES, *sorted(WIDE_TYPES)))
        require_choice(self.kind, "weight_type", self.weight_type, _TYPES)
        require_boolean(self.kind, "per_channel", self.per_channel)
        require_boolean_or_auto(self.kind, "reduce_range", self.reduce_range)
        require_choice(self.kind, "calibration_method", self.calibration_method, (AUTO, *METHODS))
        require_boolean_or_auto(self.kind, "symmetric", self.symmetric)
        for key in ("keep_float", "op_types", "wide"):
            require_globs(self.kind, key, getattr(self, key))
            object.__setattr__(self, key, tuple(getattr(self, key)))
        self._refuse_impossible()
        self._refuse_unread()

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
        if self.symmetric is True and self.activation_type.startswith("uint"):
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: symmetric activations are signed, and activation_type is {self.activation_type!r}; "
                'write activation_type = "int8" or leave symmetric out',
            )

    def _refuse_unread(self) -> None:
        if isinstance(self.percentile, bool) or not isinstance(self.percentile, int | float):
            raise RecipeError("invalid_setting", f"{self.kind}: percentile is {self.percentile!r}; write a number")
        if not _LEAST_PERCENTILE < self.percentile <= _MOST_PERCENTILE:
            raise RecipeError(
                "invalid_setting", f"{self.kind}: percentile is {self.percentile}; write more than 50 and at most 100"
            )
        if self.calibration_method != PERCENTILE and self.percentile != DEFAULT_PERCENTILE:
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: percentile is {self.percentile} and calibration_method {self.calibration_method!r} does "
                'not read it; write calibration_method = "percentile"',
            )
        if self.wide and self.activation_type in WIDE_TYPES:
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: activation_type is {self.activation_type!r}, so that all activations are wide; leave "
                "wide out",
            )

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the quantized model; calibration holds one batch of activations at a time.

        Raises:
            CompressionInputError: no or unfit calibration data, a pattern that matches nothing, or a model with nothing
                to quantize.
            CompressionError: the quantizer failed.
        """
        import onnx

        data = required_calibration(self.kind, context)
        folded_path = context.work_dir / "static-folded.onnx"
        context.progress("folding constants", 0, 1)
        refuse_handed_through(model_path, onnx.load_model(model_path), stored=False)
        fold_for_kernels(model_path, folded_path, least_opset=_PER_CHANNEL_OPSET)
        check_calibration(open_session(folded_path), data)
        model = onnx.load_model(folded_path)
        grid = self._grid(context)
        plan = self._plan(model, folded_path, grid, data, context)
        choice = self._method(plan, context)
        notes = plan.write(choice.method, out_path)
        quantized = onnx.load_model(out_path)
        resolved = {
            "calibration_method": choice.method,
            "reduce_range": grid.reduce_range,
            "symmetric": grid.symmetric,
        }
        return StepReport(
            settings={**step_settings(self), **resolved},
            tool_versions=tool_versions("onnxruntime", "onnx", "numpy"),
            notes=(
                self._quantized_note(model_path, quantized),
                *choice.notes,
                *notes,
                *float_bodies_note(quantized),
            ),
        )

    def _grid(self, context: StepContext) -> Grid:
        return Grid(
            activation_type=self.activation_type,
            weight_type=self.weight_type,
            per_channel=self.per_channel,
            reduce_range=resolve_reduce_range(
                self.reduce_range, context.processor_features, weight_type=self.weight_type
            ),
            symmetric=self.activation_type == "int16" if self.symmetric == AUTO else bool(self.symmetric),
        )

    def _plan(
        self, model: ModelProto, folded_path: Path, grid: Grid, data: CalibrationData, context: StepContext
    ) -> StaticPlan:
        op_types = self._op_types()
        nodes = model.graph.node
        excluded = kept_by_rule(model) | island_nodes(model) | float_ends(model)
        excluded |= matching_nodes(nodes, self.keep_float, kind=self.kind, key="keep_float")
        wide_nodes = matching_nodes(nodes, self.wide, kind=self.kind, key="wide")
        names = observed_tensors(model, op_types=op_types, excluded=excluded)
        wide = with_clipped(model, _touched((node for node in nodes if node.name in wide_nodes), names))
        return StaticPlan(
            folded_path=folded_path,
            data=data,
            observed=observed_activations(
                folded_path, data, op_types=op_types, excluded=excluded, whole=wide, progress=context.progress
            ),
            grid=grid,
            op_types=op_types,
            excluded=frozenset(excluded),
            wide=wide,
            percentile=float(self.percentile),
            progress=context.progress,
        )

    def _method(self, plan: StaticPlan, context: StepContext) -> MethodChoice:
        if self.calibration_method != AUTO:
            return MethodChoice(method=self.calibration_method)
        if self.activation_type in WIDE_TYPES:
            return MethodChoice(method=MINMAX)  # 65,536 values need no clipping
        return plan.method_choice(context.work_dir / "static-tried.onnx")

    def _op_types(self) -> frozenset[str]:
        if not self.op_types:
            return quantizable_ops()
        known = known_ops()
        unknown = first_unknown(self.op_types, tuple(known))
        if unknown is not None:
            raise CompressionInputError(
                "unsupported_setting",
                f"{self.kind}: op_types has {unknown!r}, which onnxruntime does not quantize; {meant(unknown, known)}",
            )
        return frozenset(self.op_types)

    def _quantized_note(self, model_path: Path, quantized: ModelProto) -> str:
        counts = op_counts(quantized)
        if not counts["DequantizeLinear"]:
            raise CompressionInputError(
                "nothing_to_quantize",
                f"{model_path.name} has no operator that static int8 quantizes; try float16",
            )
        return f"{counts['QuantizeLinear']} activations and their weights were quantized"


def _touched(nodes: Iterable[NodeProto], names: Iterable[str]) -> frozenset[str]:
    """Return those of ``names`` that the nodes read or write."""
    touched = {name for node in nodes for name in (*node.input, *node.output)}
    return frozenset(names) & touched

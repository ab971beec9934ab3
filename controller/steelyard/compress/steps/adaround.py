"""AdaRound: each weight is rounded up or down, as the layer's outputs need it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from steelyard.compress.calibration import required_calibration
from steelyard.compress.contract import INT8, ONNX, SAME_FORM, StepContext, StepReport
from steelyard.compress.qdq.pairing import pair_of
from steelyard.compress.qdq.reconstruction import LayerProblem, layer_problem
from steelyard.compress.qdq.rounding import best_rounding
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import require_count
from steelyard.compress.tools import tool_versions

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaRound:
    """Learn the rounding layer by layer (Nagel et al. 2020), each on inputs that the layers before it give quantized.

    ``iterations`` of Adam a layer, on rows of ``sample_count`` samples (of matrix products up to 256). An output keeps
    the weights that it had where learning does not lower its error on rows that were held out.
    """

    kind: ClassVar[str] = "adaround"
    needs_calibration: ClassVar[bool] = True
    accepts: ClassVar[frozenset[str]] = frozenset({INT8})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})
    needs_float_ancestor: ClassVar[bool] = True

    iterations: int = 250
    sample_count: int = 64

    def __post_init__(self) -> None:
        """Refuse settings of another type or without a meaning."""
        require_count(self.kind, "iterations", self.iterations)
        require_count(self.kind, "sample_count", self.sample_count)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with learnt weights, each one step from nearest rounding at most.

        Raises:
            CompressionInputError: no calibration data, no float ancestor, or no quantized layers.
            CompressionError: the model cannot be run.
        """
        import onnx

        data = required_calibration(self.kind, context)
        graph = pair_of(model_path, context, kind=self.kind)
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        done: set[str] = set()
        kept: dict[str, str] = {}
        ratios: list[float] = []
        for number, unit in enumerate(graph.layers):
            context.progress(f"learning the rounding of {unit.name}", number, len(graph.layers))
            assert unit.weight is not None
            problem: LayerProblem | str = "it shares its weights with a layer before it"
            if unit.weight.name not in done:
                problem = layer_problem(
                    graph, model, unit, data, sample_count=self.sample_count, seed=context.seed + number
                )
            done.add(unit.weight.name)
            if isinstance(problem, str):
                kept[unit.name] = problem
                continue
            ratio = self._round(model, problem, context.seed + number)
            ratios.append(ratio)
            if ratio == 1.0:
                kept[unit.name] = "learning did not lower its error"
        context.progress("learning the rounding", len(graph.layers), len(graph.layers))
        onnx.save_model(model, out_path)
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions("onnxruntime", "onnx", "numpy"),
            notes=_notes(ratios, kept),
        )

    def _round(self, model: ModelProto, problem: LayerProblem, seed: int) -> float:
        """Store what rounds better, if anything; return the layer's error as a share of the one that it had."""
        from onnx import numpy_helper

        before = problem.rows.to_columns(problem.stored).astype(np.float32)
        after, ratio = best_rounding(problem.reconstruction, before, iterations=self.iterations, seed=seed)
        assert problem.unit.weight is not None
        tensor = next(one for one in model.graph.initializer if one.name == problem.unit.weight.name)
        integers = problem.rows.from_columns(after).astype(problem.stored.dtype)
        tensor.CopyFrom(numpy_helper.from_array(integers, tensor.name))
        return ratio


def _notes(ratios: list[float], kept: dict[str, str]) -> tuple[str, ...]:
    notes = []
    learnt = [ratio for ratio in ratios if ratio < 1.0]
    if learnt:
        notes.append(
            f"the rounding of {len(learnt)} layers was learnt; the squared error of their outputs fell to "
            f"{float(np.median(learnt)):.0%} of nearest rounding's in the middle"
        )
    reasons: dict[str, list[str]] = {}
    for name, reason in kept.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        notes.append(f"kept as it was: {shown} ({reason})")
    return tuple(notes)

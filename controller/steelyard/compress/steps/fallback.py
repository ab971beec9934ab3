"""Accuracy-aware fallback: the operators that cost most go back to float, until a bound holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.contract import INT8, ONNX, SAME_FORM, Evaluation, StepContext, StepReport
from steelyard.compress.qdq.falling_back import Candidate, FallbackSearch
from steelyard.compress.qdq.graph import QdqGraph
from steelyard.compress.qdq.pairing import pair_of
from steelyard.compress.qdq.restore import restore
from steelyard.compress.qdq.running import Runner, required_calibration, sqnr_db
from steelyard.compress.recipe import step_settings
from steelyard.compress.sensitivity import measure_sensitivity
from steelyard.compress.settings import require_choice, require_count, require_number
from steelyard.compress.tools import tool_versions

_ORDERS = ("sensitivity", "graph")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Restore operators to float until the metric is at most ``max_drop`` (its unit; 0.01: a point) below the float's.

    Without a task the outputs' signal-to-noise ratio against the float model must reach ``min_sqnr_db``. ``order``
    "sensitivity" ranks by what quantizing each operator alone costs over ``sample_count`` samples, "graph" takes them
    as they come. At most ``max_layers`` operators are restored (0: any number).
    """

    kind: ClassVar[str] = "fallback"
    needs_calibration: ClassVar[bool] = True
    accepts: ClassVar[frozenset[str]] = frozenset({INT8})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})
    needs_float_ancestor: ClassVar[bool] = True

    max_drop: float = 0.01
    min_sqnr_db: float = 20.0
    max_layers: int = 0
    order: str = "sensitivity"
    sample_count: int = 64

    def __post_init__(self) -> None:
        """Refuse settings of another type or without a meaning."""
        require_number(self.kind, "max_drop", self.max_drop, least=0.0, most=1e9)
        require_number(self.kind, "min_sqnr_db", self.min_sqnr_db, least=-100.0, most=199.0)
        require_count(self.kind, "max_layers", self.max_layers, least=0)
        require_choice(self.kind, "order", self.order, _ORDERS)
        require_count(self.kind, "sample_count", self.sample_count)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with the fewest operators in float that keep the bound, or the best that was found.

        Raises:
            CompressionInputError: no calibration data, no float ancestor, or no quantized layers.
            CompressionError: a model cannot be run.
        """
        import onnx

        data = required_calibration(self.kind, context)
        graph = pair_of(model_path, context, kind=self.kind)
        ranking = [unit.name for unit in graph.units]
        if self.order == "sensitivity":
            found = measure_sensitivity(graph, data, sample_count=self.sample_count, progress=context.progress)
            ranking = [one.name for one in found]
        judge = self._by_metric(graph, context) or self._by_sqnr(graph, context)
        search = FallbackSearch(judge.loss_of, most_loss=judge.most_loss)
        best = search.search(ranking, most_count=self.max_layers or len(ranking))
        context.progress("restoring operators to float", 1, 1)
        onnx.save_model(restore(graph, best.names), out_path)
        return StepReport(
            settings={
                **step_settings(self),
                "restored": [name for name in ranking if name in best.names],
                "front": [
                    {"restored_count": len(one.names), judge.what: round(judge.score(one.loss), 6)}
                    for one in search.front
                ],
            },
            tool_versions=tool_versions("onnxruntime", "onnx", "numpy"),
            notes=self._notes(graph, ranking, best, judge),
        )

    def _by_metric(self, graph: QdqGraph, context: StepContext) -> _Judge | None:
        """Return a judge by the task's metric, or None when there is no task."""
        import onnx

        if context.evaluate is None:
            return None
        evaluate = context.evaluate
        reference: Evaluation = evaluate(context.float_ancestor(self.kind).path)
        tried_path = context.work_dir / "fallback-tried.onnx"

        def loss_of(names: frozenset[str]) -> float:
            context.progress(f"evaluating with {len(names)} operators in float", 0, 1)
            onnx.save_model(restore(graph, names), tried_path)
            return evaluate(tried_path).worse_by(reference)

        sign = -1.0 if reference.higher_is_better else 1.0
        return _Judge(
            what=reference.metric,
            most_loss=self.max_drop,
            loss_of=loss_of,
            score=lambda loss: reference.value + sign * loss,
            bound=f"{reference.metric} at most {self.max_drop:g} worse than the float model's {reference.value:.4g}",
        )

    def _by_sqnr(self, graph: QdqGraph, context: StepContext) -> _Judge:
        data = required_calibration(self.kind, context)
        reference = Runner(graph.float_model)

        def loss_of(names: frozenset[str]) -> float:
            context.progress(f"comparing outputs with {len(names)} operators in float", 0, 1)
            return -sqnr_db(reference, Runner(restore(graph, names)), data, self.sample_count)

        return _Judge(
            what="sqnr_db",
            most_loss=-self.min_sqnr_db,
            loss_of=loss_of,
            score=lambda loss: -loss,
            bound=f"outputs {self.min_sqnr_db:g} dB above their difference from the float model's",
        )

    def _notes(self, graph: QdqGraph, ranking: list[str], best: Candidate, judge: _Judge) -> tuple[str, ...]:
        score = f"{judge.what} {judge.score(best.loss):.4g}"
        count, total = len(best.names), len(graph.units)
        names = [name for name in ranking if name in best.names]
        shown = ", ".join(names[:8]) + (f" and {count - 8} more" if count > 8 else "")
        if best.loss > judge.most_loss:
            kept = f"{count} of {total} operators in float ({shown})" if count else "nothing in float"
            return (f"the bound is not met ({judge.bound}): the best found is {score}, with {kept}",)
        if not count:
            return (f"nothing had to go back to float: {score}",)
        return (f"{count} of {total} operators are in float: {shown}; {score}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """How a choice of operators in float is judged: its loss, the largest that is allowed, and what to call it."""

    what: str
    most_loss: float
    loss_of: Callable[[frozenset[str]], float]
    score: Callable[[float], float]
    bound: str

"""Accuracy-aware fallback: the operators that cost most go back to float, until a bound holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.calibration import CalibrationData, required_calibration
from steelyard.compress.contract import INT8, ONNX, SAME_FORM, StepContext, StepReport
from steelyard.compress.noise import Reference
from steelyard.compress.qdq.falling_back import Candidate, FallbackSearch, holds
from steelyard.compress.qdq.parts import QdqParts, parts_of
from steelyard.compress.qdq.restore import restore
from steelyard.compress.recipe import step_settings
from steelyard.compress.sensitivity import rank
from steelyard.compress.settings import require_choice, require_count, require_number
from steelyard.compress.tools import tool_versions
from steelyard.errors import SteelyardError

_ORDERS = ("sensitivity", "graph")
_SHOWN = 8


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
        parts = parts_of(model_path, context, kind=self.kind)
        ranking = [one.name for one in parts.operators]
        notes: list[str] = []
        judge = self._by_metric(parts, context, notes) or self._by_sqnr(parts, data, context)
        search = FallbackSearch(judge.loss_of, most_loss=judge.most_loss)
        if self.order == "sensitivity" and not search.holds_without():
            found = rank(parts, data, sample_count=self.sample_count, progress=context.progress)
            ranking = [one.operator.name for one in found]
        best = search.search(ranking, most_count=self.max_layers or len(ranking))
        context.progress("restoring operators to float", 1, 1)
        onnx.save_model(restore(parts.graph, best.names), out_path)
        return StepReport(
            settings={
                **step_settings(self),
                "restored": [name for name in ranking if name in best.names],
                "front": [
                    {"restored_count": len(one.names), judge.what: judge.score(one.loss)} for one in search.front
                ],
            },
            tool_versions=tool_versions("onnxruntime", "onnx", "numpy"),
            notes=(*notes, *_notes(ranking, best, judge, search.front)),
        )

    def _by_metric(self, parts: QdqParts, context: StepContext, notes: list[str]) -> _Judge | None:
        """Return a judge by the task's metric; None without a task, or where the float model has no score."""
        if context.evaluate is None:
            return None
        evaluate = context.evaluate
        try:
            reference = evaluate(context.float_ancestor(self.kind).path)
        except SteelyardError as error:
            notes.append(f"the float model has no score ({error}), so that the bound is on its outputs")
            return None
        tried_path = context.work_dir / "fallback-tried.onnx"

        def loss_of(names: frozenset[str]) -> float:
            context.progress(f"evaluating with {len(names)} operators in float", 0, 1)
            parts.write(names, tried_path)
            try:
                return evaluate(tried_path).worse_by(reference)
            except SteelyardError:
                # Outputs that are no numbers: the worst there is, and the search goes on.
                return math.inf

        sign = -1.0 if reference.higher_is_better else 1.0
        return _Judge(
            what=reference.metric,
            most_loss=self.max_drop,
            loss_of=loss_of,
            score=lambda loss: round(reference.value + sign * loss, 6) if math.isfinite(loss) else None,
            bound=f"{reference.metric} at most {self.max_drop:g} worse than the float model's {reference.value:.4g}",
        )

    def _by_sqnr(self, parts: QdqParts, data: CalibrationData, context: StepContext) -> _Judge:
        reference = Reference(parts.float_runner(), data, self.sample_count)

        def loss_of(names: frozenset[str]) -> float:
            context.progress(f"comparing outputs with {len(names)} operators in float", 0, 1)
            return -reference.sqnr_db(parts.runner(names))

        return _Judge(
            what="sqnr_db",
            most_loss=-self.min_sqnr_db,
            loss_of=loss_of,
            score=lambda loss: round(-loss, 6),
            bound=f"outputs {self.min_sqnr_db:g} dB above their difference from the float model's",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """How a choice of operators in float is judged: its loss, the largest that is allowed, and what to call it.

    ``score`` turns a loss into what people know; None for a model that cannot be scored.
    """

    what: str
    most_loss: float
    loss_of: Callable[[frozenset[str]], float]
    score: Callable[[float], float | None]
    bound: str

    def told(self, loss: float) -> str:
        """Return a loss as a score."""
        score = self.score(loss)
        return "no score" if score is None else f"{score:.4g}"


def _notes(ranking: list[str], best: Candidate, judge: _Judge, front: list[Candidate]) -> tuple[str, ...]:
    score = f"{judge.what} {judge.told(best.loss)}"
    count, total = len(best.names), len(ranking)
    names = [name for name in ranking if name in best.names]
    shown = ", ".join(names[:_SHOWN]) + (f" and {count - _SHOWN} more" if count > _SHOWN else "")
    if not holds(best.loss, judge.most_loss):
        kept = f"{count} of {total} operators in float ({shown})" if count else "nothing in float"
        first = f"the bound is not met ({judge.bound}): the best found is {score}, with {kept}"
    elif not count:
        return (f"nothing had to go back to float: {score}",)
    else:
        first = f"{count} of {total} operators are in float: {shown}; {score}"
    return first, f"tried, operators in float and {judge.what}: {_tried(front, judge)}"


def _tried(front: list[Candidate], judge: _Judge) -> str:
    """Return the best of every number of operators that was tried."""
    best: dict[int, float] = {}
    for one in front:
        best[len(one.names)] = min(one.loss, best.get(len(one.names), math.inf))
    return ", ".join(f"{count}: {judge.told(loss)}" for count, loss in sorted(best.items()))

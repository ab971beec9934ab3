"""How good a module is on samples that it does not learn from: the task's metric, or the loss without truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.errors import SteelyardError
from steelyard.tasks.metrics.host_reduction import HostReduction
from steelyard.tasks.metrics.registry import undefined_reason
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.objective import Batch, Objective
from steelyard.train.loop.place import Place
from steelyard.train.loop.trainable import TrainableModel

# Nothing is kept for a backward pass, so that more fit than in training: so many times its batch, with a bound.
_BATCH_TIMES = 4
_MOST_IN_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A value of ``name`` (a metric's kind, or "loss"), NaN where there is none."""

    name: str
    value: float
    higher_is_better: bool

    @property
    def is_number(self) -> bool:
        """Whether it can be compared."""
        return bool(np.isfinite(self.value))

    def beats(self, other: Score | None) -> bool:
        """Return whether it is better than ``other``; a number is better than none."""
        if not self.is_number:
            return False
        if other is None or not other.is_number:
            return True
        return self.value > other.value if self.higher_is_better else self.value < other.value

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4f}"

    def plain(self) -> list[Any]:
        """Return it as checkpoints keep it."""
        return [self.name, self.value, self.higher_is_better]

    @classmethod
    def of(cls, plain: list[Any]) -> Score:
        """Return what ``plain`` made a list of."""
        return cls(name=plain[0], value=plain[1], higher_is_better=plain[2])


class Validator:
    """Scores modules over one set of samples."""

    def __init__(self, data: TrainingData, objective: Objective, place: Place, *, batch_size: int) -> None:
        """Score by the metric of ``data`` where it has truth, else by the objective; ``batch_size`` is training's."""
        self._data = data
        self._batch_size = min(_BATCH_TIMES * batch_size, _MOST_IN_BATCH)
        self._objective = objective
        self._place = place
        self._by_metric = data.has_truth and not data.metric.needs_parent_outputs and _is_defined(data)

    def score(self, model: TrainableModel) -> Score:
        """Return the score of a module, which is left in evaluation mode.

        Raises:
            TaskError: its outputs do not fit the metric.
        """
        import torch

        model.module.eval()
        with torch.no_grad():
            return self._of_metric(model) if self._by_metric else self._of_loss(model)

    def _of_metric(self, model: TrainableModel) -> Score:
        metric = self._data.metric
        reduction, are_finite = HostReduction(metric.reduction), True
        for batch in self._batches():
            outputs = {name: made.cpu().numpy() for name, made in model.run(batch.inputs).items()}
            are_finite = are_finite and all(np.isfinite(made).all() for made in outputs.values())
            reduction.add(outputs, batch.size)
        try:
            value = metric.answers(self._data.all_truth(), reduction.arrays()).value()
        except SteelyardError:
            # Outputs that are no numbers are how a run that diverges looks from here; others do not fit.
            if are_finite:
                raise
            value = None
        known = float("nan") if value is None else float(value)
        return Score(name=metric.kind, value=known, higher_is_better=metric.higher_is_better)

    def _of_loss(self, model: TrainableModel) -> Score:
        total, count = 0.0, 0
        for batch in self._batches():
            total += batch.size * sum(float(term) for term in self._objective.terms(model, batch).values())
            count += batch.size
        return Score(name="loss", value=total / count, higher_is_better=False)

    def _batches(self) -> Iterator[Batch]:
        put = self._place.put
        for start in range(0, self._data.sample_count, self._batch_size):
            places = np.arange(start, min(start + self._batch_size, self._data.sample_count))
            inputs, truth = self._data.take(places)
            yield Batch(
                inputs={name: put(array) for name, array in inputs.items()},
                truth={name: put(array) for name, array in truth.items()},
            )


def _is_defined(data: TrainingData) -> bool:
    """Return whether the samples give the metric a value at all (an AUC needs both classes)."""
    return undefined_reason(data.metric, data.all_truth()) is None

"""Score a model on this machine after a step: a task's metric, or likeness to the parent where there are no labels.

What counts is measured on the device; this tells the steps of a recipe apart, and lets a step choose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.contract import TFLITE, Evaluation, Progress
from steelyard.compress.errors import CompressionInputError
from steelyard.errors import SteelyardError
from steelyard.tasks.metrics.contract import Answers, BinaryAnswers, Metric
from steelyard.tasks.metrics.host_reduction import HostReduction
from steelyard_protocol.v1 import control_pb2

# Likeness to the parent, without labels, needs no more: a share of ten thousandths shows, and whole outputs are
# kept for it.
_MOST_UNLABELLED = 256
_Feed = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationSet:
    """Samples with their truth, and the metric; ``split`` is "validation", "evaluation" or "calibration"."""

    split: str
    metric: Metric
    data: CalibrationData
    truth: Mapping[str, NDArray[Any]]

    @property
    def sample_count(self) -> int:
        """How many samples are run."""
        count = self.data.sample_count
        return min(count, _MOST_UNLABELLED) if self.metric.needs_parent_outputs else count


class HostEvaluator:
    """Runs models over one set of samples; each file once."""

    def __init__(self, chosen: EvaluationSet, *, parent_path: Path, model_format: str, progress: Progress) -> None:
        self._chosen = chosen
        self._parent_path = parent_path
        self._format = model_format
        self._progress = progress
        self._known: dict[str, Evaluation] = {}
        self._call_count = 0
        self._parent_outputs: dict[str, NDArray[Any]] | None = None

    @property
    def split(self) -> str:
        """The split that it runs over."""
        return self._chosen.split

    @property
    def call_count(self) -> int:
        """How often it was asked."""
        return self._call_count

    def evaluate(self, path: Path) -> Evaluation:
        """Return what the model in ``path`` scores.

        Raises:
            SteelyardError: the model cannot be run on these samples, or its outputs not be scored.
        """
        self._call_count += 1
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest not in self._known:
            self._known[digest] = self._scored(path)
        return self._known[digest]

    def answers(self, path: Path) -> Answers:
        """Return what the model in ``path`` answers to each sample, set against the truth or the parent's outputs.

        Raises:
            SteelyardError: the model cannot be run on these samples, or its outputs not be scored.
        """
        metric = self._chosen.metric
        truth = self._chosen.truth
        if metric.needs_parent_outputs:
            if self._parent_outputs is None:
                self._parent_outputs = self._outputs(self._parent_path)
            truth = self._parent_outputs
        return metric.answers(truth, self._outputs(path))

    def _scored(self, path: Path) -> Evaluation:
        return evaluation_of(self.answers(path), self._chosen.metric, self._chosen.split)

    def _outputs(self, path: Path) -> dict[str, NDArray[Any]]:
        reduction = HostReduction(self._chosen.metric.reduction)
        run, size = opened(path, self._format)
        data = self._chosen.data
        size, count = data.batch(size), self._chosen.sample_count
        for start, feed in self._batches(size):
            outputs = run(feed)
            reduction.add(as_one_sample(outputs) if data.is_whole else outputs, size)
            self._progress("evaluating", start + size, count)
        return reduction.arrays()

    def _batches(self, size: int) -> Iterator[tuple[int, _Feed]]:
        count = self._chosen.sample_count
        if self._chosen.metric.needs_parent_outputs:
            count -= count % size
        if count % size or not count:
            raise CompressionInputError(
                "fixed_batch",
                f"the model takes batches of exactly {size} and there are {self._chosen.sample_count} samples to "
                f"evaluate; export it with a dynamic first dimension, or use a multiple of {size} samples",
            )
        for start in range(0, count, size):
            yield start, self._chosen.data.feed(start, start + size)


def evaluation_of(answers: Answers, metric: Metric, split: str) -> Evaluation:
    """Return what answers score, with its interval.

    Raises:
        CompressionInputError: score_undefined: these samples leave the metric without a value.
    """
    value = answers.value()
    if value is None:
        raise CompressionInputError(
            "score_undefined", f"{metric.label} has no value for these samples; give samples of every class"
        )
    low, high = _interval(answers, metric.unit)
    return Evaluation(
        metric=metric.kind,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        value=value,
        low=low,
        high=high,
        sample_count=answers.sample_count,
        split=split,
    )


def step_evaluation(evaluator: HostEvaluator, path: Path) -> control_pb2.StepEvaluation:
    """Return what a model scores as lineage keeps it; a model that cannot be scored gives the reason."""
    try:
        found = evaluator.evaluate(path)
    except SteelyardError as error:
        return control_pb2.StepEvaluation(split=evaluator.split, reason=str(error))
    return evaluation_message(found)


def evaluation_message(found: Evaluation) -> control_pb2.StepEvaluation:
    """Return an evaluation as lineage keeps it."""
    return control_pb2.StepEvaluation(
        metric=found.metric,
        unit=found.unit,
        value=found.value,
        low=found.low,
        high=found.high,
        sample_count=found.sample_count,
        split=found.split,
    )


def as_one_sample(outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the outputs of one whole inference with a first axis of 1, as the agent does."""
    return {
        name: array if np.shape(array)[:1] == (1,) else np.asarray(array)[np.newaxis] for name, array in outputs.items()
    }


def metric_of(kind: str, settings_json: str) -> Metric:
    """Return the metric of a task.

    Raises:
        TaskError: an unknown metric, or settings that it refuses.
    """
    from steelyard.tasks.metrics.registry import metric

    return metric(kind or "top1", json.loads(settings_json or "{}"))


def _interval(answers: Answers, unit: str) -> tuple[float | None, float | None]:
    if isinstance(answers, BinaryAnswers):
        from steelyard.stats.accuracy import wilson

        estimate = wilson(int(np.count_nonzero(answers.correct)), answers.sample_count)
    else:
        from steelyard.stats.bootstrap import bootstrap_interval

        estimate = bootstrap_interval(answers, unit=unit)
    return estimate.low, estimate.high


def opened(path: Path, model_format: str) -> tuple[Callable[[_Feed], dict[str, NDArray[Any]]], int]:
    """Return a call for one inference, and the batch size that the model takes (1 where it is free).

    One sample at a time, as on the device: scales that a model finds while it runs depend on the batch.
    """
    if model_format == TFLITE:
        from steelyard.compress.tflite import sessions as tflite

        interpreter = tflite.open_session(path)
        names = [one.name for one in interpreter.outputs]
        return lambda feed: dict(zip(names, interpreter.run(feed), strict=True)), tflite.batch_size(interpreter)
    from steelyard.compress.sessions import as_taken, batch_size, open_session, run_bounded

    session = open_session(path)
    names = [one.name for one in session.get_outputs()]
    return (
        lambda feed: dict(zip(names, run_bounded(session, as_taken(session, feed)), strict=True)),
        batch_size(session),
    )

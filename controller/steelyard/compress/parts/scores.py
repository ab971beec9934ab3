"""What the whole loses by each part's variant alone, and by all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from steelyard.compress.contract import Evaluation, Progress
from steelyard.compress.evaluation import evaluation_of
from steelyard.compress.parts.chain import Chain, PartModel
from steelyard.compress.parts.part_tasks import run_chain
from steelyard.compress.parts.parts_file import PartsFile
from steelyard.tasks.task import LoadedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeScores:
    """The task's metric of the whole: as it was, with one part's variant alone, and with those of all parts."""

    original: Evaluation
    alone: Mapping[str, Evaluation]
    together: Evaluation


def score_variants(
    file: PartsFile,
    task: LoadedTask,
    models: Mapping[str, PartModel],
    variants: Mapping[str, PartModel],
    answers: Mapping[str, NDArray[Any]],
    *,
    progress: Progress,
) -> WholeScores:
    """Run the evaluation samples through the parts with variants; ``answers`` are those of the original parts.

    Raises:
        CompressionError, CompressionInputError, TaskError: a chain cannot be run or scored.
    """
    truth = answers if task.metric.needs_parent_outputs else task.evaluation.truth

    def scored(given: Mapping[str, NDArray[Any]]) -> Evaluation:
        return evaluation_of(task.metric.answers(truth, given), task.metric, "evaluation")

    def with_variants(chosen: Mapping[str, PartModel]) -> Evaluation:
        return scored(run_chain(Chain(file, {**models, **chosen}), task, task.evaluation, progress=progress))

    alone = {name: with_variants({name: model}) for name, model in variants.items()}
    together = alone[next(iter(alone))] if len(alone) == 1 else with_variants(variants)
    return WholeScores(original=scored(answers), alone=alone, together=together)

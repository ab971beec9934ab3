"""What a step learns from: never what it is compared by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.compress.calibration import read_calibration
from steelyard.compress.contract import StepContext
from steelyard.compress.evaluation import EvaluationSet
from steelyard.tasks.packing import pack_all
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.settings import TrainingSettings
from steelyard.train.steps.samples import LearningSamples, learning_samples
from tests.controller.train.loop.small_trainings import samples


def rows(*values: float, split: str = "training") -> EvaluationSet:
    """Return samples of one number each, of class 0."""
    inputs = {"x": np.array(values, dtype=np.float32)[:, None]}
    data = read_calibration(pack_all(inputs))
    truth = {"labels": np.zeros(len(values), dtype=np.int64)}
    return EvaluationSet(split=split, metric=samples(2).metric, data=data, truth=truth)


def chosen(training: EvaluationSet, validation: EvaluationSet | None = None, **settings: object) -> LearningSamples:
    context = StepContext(
        work_dir=Path(), progress=lambda message, done, total: None, training=training, validation=validation
    )
    return learning_samples(TrainingSettings(**settings), context)


def numbers(found: LearningSamples, part: str) -> list[float]:
    data = getattr(found, part)
    return [float(value) for value in data.take(np.arange(data.sample_count))[0]["x"][:, 0]]


def test_a_sample_that_is_also_a_validation_sample_is_not_learnt_from() -> None:
    found = chosen(rows(1, 2, 3, 2, 4), rows(2, 9, split="validation"))
    assert numbers(found, "training") == [1, 3, 4]
    assert numbers(found, "validation") == [2, 9]
    assert "left out: 2 training samples also among those to compare by" in found.notes


def test_what_is_held_out_is_learnt_from_by_no_copy_of_it_either() -> None:
    found = chosen(rows(*range(20), *range(20)), holdout=0.25)
    assert len(numbers(found, "validation")) == 10
    assert not set(numbers(found, "training")) & set(numbers(found, "validation"))


def test_samples_that_are_all_to_compare_by_leave_nothing_to_learn_from() -> None:
    with pytest.raises(TrainingInputError, match="all 2 training samples are validation samples") as caught:
        chosen(rows(1, 2), rows(2, 1, split="validation"))
    assert caught.value.reason == "too_few_samples"


def test_a_share_that_holds_nothing_out_is_refused() -> None:
    with pytest.raises(TrainingInputError, match=r"holdout = 0\.1 of 3 training samples is none"):
        chosen(rows(1, 2, 3))


def test_without_samples_to_learn_from_the_task_is_named() -> None:
    with pytest.raises(TrainingInputError, match="give a task with a training split"):
        learning_samples(
            TrainingSettings(),
            StepContext(work_dir=Path(), progress=lambda message, done, total: None),
        )

"""What a step learns from and compares its epochs by: the splits of the task, or a share that is held out."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.compress.contract import StepContext
from steelyard.plural import counted
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.settings import TrainingSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearningSamples:
    """Samples to learn from and others to compare epochs by; ``notes`` tell where the others come from."""

    training: TrainingData
    validation: TrainingData
    notes: tuple[str, ...]


def learning_samples(settings: TrainingSettings, context: StepContext) -> LearningSamples:
    """Return the samples of a step: drawn where ``sample_count`` says so, then divided.

    Raises:
        TrainingInputError: no_training_data, too_few_samples or whole_samples.
    """
    if context.training is None:
        raise TrainingInputError(
            "no_training_data", f"{settings.kind} learns from samples; give a task with a training split"
        )
    drawn = TrainingData.of(context.training).drawn(settings.sample_count, context.seed)
    if context.validation is not None:
        validation = TrainingData.of(context.validation)
        told = f"epochs are compared by {counted(validation.sample_count, 'validation sample')}"
        return _apart(settings, drawn, validation, told)
    training, held = drawn.held_out(settings.holdout, context.seed)
    if held is None:
        raise TrainingInputError(
            "too_few_samples",
            f"{settings.kind}: the task has no validation split, and holdout = {settings.holdout:g} of "
            f"{drawn.sample_count} training samples is none to compare epochs by; add samples, or a validation split",
        )
    told = f"epochs are compared by {counted(held.sample_count, 'training sample')} held out"
    return _apart(settings, training, held, told)


def _apart(settings: TrainingSettings, training: TrainingData, validation: TrainingData, told: str) -> LearningSamples:
    """Return samples that share none: what epochs are compared by is never learnt from."""
    apart = training.without(validation)
    if not apart.sample_count:
        raise TrainingInputError(
            "too_few_samples",
            f"{settings.kind}: all {training.sample_count} training samples are validation samples, too; add others",
        )
    shared = training.sample_count - apart.sample_count
    left_out = (f"left out: {counted(shared, 'training sample')} also among those to compare by",) if shared else ()
    return LearningSamples(
        training=apart,
        validation=validation,
        notes=(f"learnt from {counted(apart.sample_count, 'sample')}", told, *left_out),
    )

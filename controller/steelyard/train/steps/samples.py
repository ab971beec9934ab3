"""What a step learns from and compares its epochs by: the splits of the task, or a share that is held out."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.compress.contract import StepContext
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
        told = f"epochs are compared by {validation.sample_count} validation samples"
        return LearningSamples(training=drawn, validation=validation, notes=(_learnt(drawn), told))
    training, held = drawn.held_out(settings.holdout, context.seed)
    if held is None:
        raise TrainingInputError(
            "too_few_samples",
            f"{settings.kind}: the task has no validation split, and holdout = {settings.holdout:g} of "
            f"{drawn.sample_count} training samples is none to compare epochs by; add samples, or a validation split",
        )
    told = f"epochs are compared by {held.sample_count} training samples that were held out"
    return LearningSamples(training=training, validation=held, notes=(_learnt(training), told))


def _learnt(training: TrainingData) -> str:
    return f"learnt from {training.sample_count} samples"

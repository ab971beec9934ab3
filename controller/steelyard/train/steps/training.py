"""Train a module as a step's settings say, with or without teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from steelyard.compress.contract import Step, StepContext
from steelyard.compress.recipe import step_settings
from steelyard.train.distill.settings import INPUT, PARENT, TaughtSettings
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.checkpoints import Checkpoints
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.objective import Batch, Objective, TrainingHook
from steelyard.train.loop.place import Place
from steelyard.train.loop.progress_of_epochs import TrainingOutcome
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.steps.samples import LearningSamples, learning_samples

if TYPE_CHECKING:
    from steelyard.train.distill.answers import RepeatedSamples
    from steelyard.train.distill.teaching import Teacher
    from steelyard.train.loop.feeding import Feeding
    from steelyard.train.loop.losses import LabelLoss

# To see what outputs hold and where layers of two models have the same size.
_LOOKED_AT = 32
# No more than fit where a batch is learnt from.
_LOOKED_AT_TIMES = 4
# Batches that statistics of BatchNorm are taken over.
_RENEWED_BY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training came to: its outcome, settings with "auto" resolved, and notes."""

    outcome: TrainingOutcome
    settings: Mapping[str, object]
    notes: tuple[str, ...]


class StepTraining:
    """The training of one step: its samples and its teachers are looked at once, however often it trains."""

    def __init__(self, settings: TaughtSettings, model_path: Path, context: StepContext) -> None:
        """Look at the samples and lift the teachers.

        Raises:
            TrainingInputError, LiftError: samples, a teacher or this machine do not suit.
        """
        self._settings = settings
        self._context = context
        self._place = Place.of(settings)
        self._samples = learning_samples(settings, context)
        self._teachers = [_teacher(name, model_path, context) for name in settings.teachers]
        if not self._samples.training.has_truth and not self._teachers:
            raise TrainingInputError(
                "no_labels",
                f"{settings.kind}: the training samples of the task have no labels and nobody teaches; add labels, or "
                'write teachers = ["parent"]',
            )

    @property
    def samples(self) -> LearningSamples:
        """What is learnt from."""
        return self._samples

    @property
    def place(self) -> Place:
        """Where it is computed."""
        return self._place

    def checkpoints(self, part: str = "") -> Checkpoints:
        """Return where this step, or a part of it, keeps how far it came."""
        # One folder a step: the one behind it must not go on from what this one ended with.
        own = self._context.work_dir / "checkpoints" / f"step-{len(self._context.ancestors)}"
        kept = Checkpoints(self._context.checkpoints or own)
        return kept.inside(part) if part else kept

    def objective(
        self, model: TrainableModel, *, device: str = "", repeated: RepeatedSamples | None = None
    ) -> Objective:
        """Return what is minimised for a model as it is now; ``device`` "" is where it is trained.

        ``repeated`` are the samples where every epoch shows the same, None where they change.

        Raises:
            TrainingInputError: the model's outputs do not fit the truth or the teachers'.
            TrainingError: out_of_memory.
        """
        from steelyard.train.loop.memory import smaller_batch_proposed

        with smaller_batch_proposed(self._settings.batch_size):
            return self._objective(model, device or self._place.device, repeated)

    def _objective(self, model: TrainableModel, device: str, repeated: RepeatedSamples | None) -> Objective:
        from steelyard.train.distill.teaching import Teaching
        from steelyard.train.loop.losses import scored_output

        model.module.to("cpu")
        count = min(_LOOKED_AT, _LOOKED_AT_TIMES * self._settings.batch_size)
        sample = looked_at(self._samples.training, count)
        label = self._label_loss(model, sample)
        if not self._teachers:
            if label is None:
                raise TrainingInputError(
                    "no_labels", f"{self._settings.kind}: there are no labels to learn from; add some"
                )
            return label
        output, class_axis = scored_output(self._samples.training.metric)
        teaching = Teaching(
            self._settings,
            student=model,
            teachers=self._teachers,
            label=label,
            sample=sample,
            output=output,
            class_axis=class_axis,
            seed=self._context.seed,
            repeated=repeated,
        )
        teaching.to(device)
        return teaching

    def run(
        self,
        model: TrainableModel,
        *,
        hooks: Sequence[TrainingHook] = (),
        settings: TaughtSettings | None = None,
        part: str = "",
    ) -> Trained:
        """Train a model in place, on from what an interrupted run kept under ``part``.

        ``settings`` are others than the step's own, for a part of it.

        Raises:
            TrainingError, TrainingInputError: the training cannot begin, or ended badly.
        """
        from steelyard.train.loop.optimizers import learning_rate_of
        from steelyard.train.loop.trainer import Trainer
        from steelyard.train.sparse.masks import HeldZeros

        used = settings or self._settings
        held = HeldZeros(model.module)
        trainer = Trainer(
            model,
            training=self._samples.training,
            validation=self._samples.validation,
            objective=self.objective(model, repeated=self._repeated(used)),
            settings=used,
            checkpoints=self.checkpoints(part),
            progress=self._context.progress,
            seed=self._context.seed,
            hooks=(*hooks, held),
            place=self._place,
        )
        outcome = trainer.run()
        resolved = {
            "learning_rate": learning_rate_of(used, model.module),
            "augment": list(trainer.augmentations),
            "device": self._place.device,
            "precision": self._place.precision,
        }
        zeros = f"zeros of {len(held.names)} sparse tensors were held" if held.names else ""
        notes = (*outcome.notes(), *self._samples.notes, *((zeros,) if zeros else ()))
        return Trained(
            outcome=outcome, settings={**step_settings(cast("Step", self._settings)), **resolved}, notes=notes
        )

    def plain_feeding(self) -> Feeding:
        """Return batches of unchanged samples on the processor, to look at a model."""
        return self._feeding((), Place(device="cpu", precision="float32"))

    def _feeding(self, augment: tuple[str, ...], place: Place) -> Feeding:
        from steelyard.train.loop.feeding import Feeding

        return Feeding.of(
            self._samples.training,
            batch_size=self._settings.batch_size,
            augment=augment,
            seed=self._context.seed,
            place=place,
        )

    def _repeated(self, settings: TaughtSettings) -> RepeatedSamples | None:
        """Return the samples of a training that shows them more than once, and unchanged."""
        from steelyard.train.distill.answers import RepeatedSamples

        feeding = self._feeding(settings.augment, self._place)
        if not self._teachers or settings.epochs == 1 or feeding.augmentation.kinds:
            return None
        return RepeatedSamples(
            data=feeding.data, batch_size=feeding.batch_size, place=self._place, progress=self._context.progress
        )

    def renew_statistics(self, model: TrainableModel) -> int:
        """Take the statistics of BatchNorm anew, of a model that changed; return how many layers there are."""
        from steelyard.train.loop.batchnorm import reestimate
        from steelyard.train.loop.memory import smaller_batch_proposed

        feeding = self.plain_feeding()
        with smaller_batch_proposed(feeding.batch_size):
            return reestimate(model, (batch.inputs for batch in feeding.plain(_RENEWED_BY)))

    def _label_loss(self, model: TrainableModel, sample: Batch) -> LabelLoss | None:
        import torch

        from steelyard.train.loop.losses import label_loss
        from steelyard.train.loop.output_form import ends_linearly, form_of_output
        from steelyard.train.loop.truth_fit import refuse_misfit

        if not sample.truth or (self._teachers and self._settings.label_weight == 0):
            return None
        model.module.eval()
        with torch.no_grad():
            outputs = model.run(sample.inputs)
        found = label_loss(
            self._settings.loss,
            self._samples.training.metric,
            outputs,
            form_of=form_of_output,
            scores=[name for at, name in enumerate(model.output_names) if ends_linearly(model.module, at)],
            label_smoothing=self._settings.label_smoothing,
        )
        refuse_misfit(found, outputs[found.output], self._samples.training)
        return found


def looked_at(data: TrainingData, count: int) -> Batch:
    """Return the first ``count`` samples, unchanged, on the processor."""
    import torch

    inputs, truth = data.take(np.arange(min(count, data.sample_count)))
    return Batch(
        inputs={name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()},
        truth={name: torch.from_numpy(array) for name, array in truth.items()},
    )


def _teacher(name: str, model_path: Path, context: StepContext) -> Teacher:
    from steelyard.train.distill.teaching import Teacher
    from steelyard.train.steps.model_files import lifted_model, named_lifted

    path = {PARENT: context.ancestors[0].path if context.ancestors else model_path, INPUT: model_path}.get(name)
    context.progress(f"looking at the teacher {name}", 0, 1)
    lifted = named_lifted(name, context, what="teach") if path is None else lifted_model(path)
    return Teacher(name=name, model=TrainableModel.of(lifted))

"""Train a model further, from its own weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.contract import FLOAT32, StepContext, StepReport
from steelyard.train.distill.settings import TaughtSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTune(TaughtSettings):
    """Train the weights as they are further, on the training split of the task."""

    kind: ClassVar[str] = "fine-tune"
    needs_training: ClassVar[bool] = True
    produces: ClassVar[str] = FLOAT32

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the trained model.

        Raises:
            LiftError, TrainingInputError: the model, the task or a teacher does not suit.
            TrainingError, ExportError: it could not be trained, or not be written.
        """
        from steelyard.train.loop.trainable import TrainableModel
        from steelyard.train.steps.model_files import lifted_model, training_tools, write_model
        from steelyard.train.steps.training import StepTraining

        context.progress("reading the model", 0, 1)
        lifted = lifted_model(model_path)
        trained = StepTraining(self, model_path, context).run(TrainableModel.of(lifted))
        context.progress("writing the model", 0, 1)
        write_model(lifted, out_path)
        return StepReport(settings=trained.settings, tool_versions=training_tools(), notes=trained.notes)

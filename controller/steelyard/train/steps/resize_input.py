"""Let a model look at smaller pictures, and train it for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.contract import FLOAT32, StepContext, StepReport
from steelyard.compress.settings import require_number
from steelyard.train.distill.settings import TaughtSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeInput(TaughtSettings):
    """Resize pictures to the share ``scale`` of their sides in front of the first layer (Howard et al. 2017).

    What the model takes and gives stays the same, so that tasks and devices need nothing new.
    """

    kind: ClassVar[str] = "resize-input"
    needs_training: ClassVar[bool] = True
    produces: ClassVar[str] = FLOAT32

    scale: float = 0.75

    def __post_init__(self) -> None:
        """Refuse settings of another type, and a scale that leaves nothing or nothing to do."""
        TaughtSettings.__post_init__(self)
        require_number(self.kind, "scale", self.scale, least=0.05, most=0.99)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model that resizes first, after training.

        Raises:
            LiftError, TrainingInputError: the model, the task or a teacher does not suit.
            TrainingError, ExportError: it could not be trained, or not be written.
        """
        from steelyard.train.loop.trainable import TrainableModel
        from steelyard.train.smaller_input import with_smaller_input
        from steelyard.train.steps.model_files import lifted_model, training_tools, write_model
        from steelyard.train.steps.training import StepTraining

        context.progress("making the pictures smaller", 0, 1)
        lifted, told = with_smaller_input(lifted_model(model_path), self.scale)
        training, model = StepTraining(self, model_path, context), TrainableModel.of(lifted)
        training.renew_statistics(model)
        trained = training.run(model)
        context.progress("writing the model", 0, 1)
        write_model(lifted, out_path)
        return StepReport(settings=trained.settings, tool_versions=training_tools(), notes=(told, *trained.notes))

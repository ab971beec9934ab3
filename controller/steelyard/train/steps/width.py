"""Make every layer of a model narrower by one share, and train what is left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.contract import FLOAT32, StepContext, StepReport
from steelyard.compress.settings import require_count, require_number
from steelyard.train.distill.settings import TaughtSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Width(TaughtSettings):
    """Keep the share ``width`` of the channels of every layer, those of the largest weights (Howard et al. 2017).

    Widths are multiples of ``round_to`` where they can be.
    """

    kind: ClassVar[str] = "width"
    needs_training: ClassVar[bool] = True
    produces: ClassVar[str] = FLOAT32

    width: float = 0.5
    round_to: int = 4

    def __post_init__(self) -> None:
        """Refuse settings of another type, and a share that leaves nothing."""
        TaughtSettings.__post_init__(self)
        require_number(self.kind, "width", self.width, least=0.01, most=1)
        require_count(self.kind, "round_to", self.round_to)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the narrower model after training.

        Raises:
            LiftError, TrainingInputError: the model, the task or a teacher does not suit.
            TrainingError, ExportError: it could not be trained, or not be written.
        """
        from steelyard.train.loop.trainable import TrainableModel
        from steelyard.train.prune.width import narrowed
        from steelyard.train.steps.model_files import lifted_model, training_tools, write_model
        from steelyard.train.steps.training import StepTraining

        context.progress("making the model narrower", 0, 1)
        lifted, told = narrowed(lifted_model(model_path), self.width, round_to=self.round_to)
        training, model = StepTraining(self, model_path, context), TrainableModel.of(lifted)
        training.renew_statistics(model)
        trained = training.run(model)
        context.progress("writing the model", 0, 1)
        write_model(lifted, out_path)
        return StepReport(
            settings=trained.settings, tool_versions=training_tools("torch-pruning"), notes=(told, *trained.notes)
        )

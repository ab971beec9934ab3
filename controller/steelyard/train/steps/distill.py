"""Train a smaller model by what a larger one answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from steelyard.compress.contract import FLOAT32, StepContext, StepReport
from steelyard.compress.errors import RecipeError
from steelyard.compress.settings import require_number
from steelyard.train.distill.settings import PARENT, TaughtSettings, named_teachers
from steelyard.train.errors import TrainingInputError

if TYPE_CHECKING:
    from steelyard.train.lift.lifted import LiftedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Distill(TaughtSettings):
    """Train a student by its teachers' answers and, where there are any, by labels.

    The student is the model that the step starts from; or the model ``student`` that the controller has, by name. With
    ``layers`` below 1 only that share of its repeated blocks stays, spread evenly (as DistilBERT is begun: Sanh et al.
    2019); with ``width`` below 1 only that share of the channels of every layer, those of the largest weights.
    """

    kind: ClassVar[str] = "distill"
    needs_training: ClassVar[bool] = True
    produces: ClassVar[str] = FLOAT32

    epochs: int = 20
    teachers: tuple[str, ...] = (PARENT,)
    student: str = ""
    layers: float = 1.0
    width: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a distillation without a teacher, and shares that leave nothing."""
        TaughtSettings.__post_init__(self)
        if not self.teachers:
            raise RecipeError("invalid_setting", 'distill: teachers is empty; name one ("parent"), or use fine-tune')
        if not isinstance(self.student, str):
            raise RecipeError(
                "invalid_setting", f"distill: student is {self.student!r}; write a model's name in quotes"
            )
        for key in ("layers", "width"):
            require_number(self.kind, key, getattr(self, key), least=0.01, most=1)

    @property
    def artifact_names(self) -> tuple[str, ...]:
        """The teachers and the student that the controller is asked for."""
        return (*named_teachers(self.teachers), *((self.student,) if self.student else ()))

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the trained student.

        Raises:
            LiftError, TrainingInputError: the model, the task, a teacher or the student does not suit.
            TrainingError, ExportError: it could not be trained, or not be written.
        """
        from steelyard.train.loop.trainable import TrainableModel
        from steelyard.train.steps.model_files import training_tools, write_model
        from steelyard.train.steps.training import StepTraining

        context.progress("making the student", 0, 1)
        student, made = self._student(model_path, context)
        trained = StepTraining(self, model_path, context).run(TrainableModel.of(student))
        context.progress("writing the student", 0, 1)
        write_model(student, out_path)
        return StepReport(settings=trained.settings, tool_versions=training_tools(), notes=(*made, *trained.notes))

    def _student(self, model_path: Path, context: StepContext) -> tuple[LiftedModel, tuple[str, ...]]:
        """Return the student before it is trained, and what was done to make it."""
        from steelyard.train.distill.students import shortened
        from steelyard.train.steps.model_files import lifted_model, named_lifted

        origin = lifted_model(model_path)
        student, notes = origin, tuple[str, ...]()
        if self.student:
            student = named_lifted(self.student, context, what="be the student")
            refuse_other_signature(student, origin, name=self.student)
            notes = (f"the student is {self.student}",)
        if self.layers < 1:
            student, told = shortened(student, self.layers)
            notes = (*notes, told)
        if self.width < 1:
            from steelyard.train.prune.width import narrowed

            student, told = narrowed(student, self.width)
            notes = (*notes, told)
        return student, notes


def refuse_other_signature(student: LiftedModel, origin: LiftedModel, *, name: str) -> None:
    """Refuse a student that takes or gives something else than the model in whose place it comes.

    Raises:
        TrainingInputError: student_misfit.
    """
    for what, own, wanted in (("inputs", student.inputs, origin.inputs), ("outputs", student.outputs, origin.outputs)):
        mine = [(one.name, one.dtype, one.sample_shape[1:]) for one in own]
        theirs = [(one.name, one.dtype, one.sample_shape[1:]) for one in wanted]
        if mine != theirs:
            told = [
                ", ".join(f"{name} {dtype} [N, {', '.join(map(str, shape))}]" for name, dtype, shape in one)
                for one in (mine, theirs)
            ]
            raise TrainingInputError(
                "student_misfit",
                f"the student {name} has the {what} {told[0]}, and the model has {told[1]}; give a student that "
                "can come in its place",
            )

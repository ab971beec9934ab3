"""Train a model while more and more of its weights become zero."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from steelyard.compress.contract import FLOAT32, StepContext, StepReport
from steelyard.compress.settings import require_count, require_number
from steelyard.compress.steps.sparsify import Sparsify
from steelyard.train.distill.settings import TaughtSettings
from steelyard.train.errors import TrainingInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steelyard.train.sparse.pattern import SparsityPattern
    from steelyard.train.sparse.weights import SparseWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseTrain(TaughtSettings):
    """Make weights zero by and by while the others learn to do without them (Zhu and Gupta 2017).

    ``sparsity``, ``pattern``, ``scope``, ``block`` and ``keep`` are those of sparsify. The share of zeros grows over
    the first ``grown`` of the training, anew every ``every`` updates, and stays then. Zeros stay zeros in whatever
    trains behind it, and in the file.
    """

    kind: ClassVar[str] = "sparse-train"
    needs_training: ClassVar[bool] = True
    produces: ClassVar[str] = FLOAT32

    sparsity: float = 0.5
    pattern: str = "unstructured"
    scope: str = "global"
    block: tuple[int, int] = (4, 1)
    keep: tuple[str, ...] = ()
    grown: float = 0.6
    every: int = 10

    def __post_init__(self) -> None:
        """Refuse settings of another type, and patterns that contradict each other as sparsify does."""
        TaughtSettings.__post_init__(self)
        _Pattern(sparsity=self.sparsity, pattern=self.pattern, scope=self.scope, block=self.block, keep=self.keep)
        require_number(self.kind, "grown", self.grown, least=0.01, most=1)
        require_count(self.kind, "every", self.every)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the sparse model, in dense storage.

        Raises:
            LiftError, TrainingInputError: the model, the task or a teacher does not suit.
            TrainingError, ExportError: it could not be trained, or not be written.
        """
        from steelyard.train.loop.trainable import TrainableModel
        from steelyard.train.sparse.masks import GradualMasks
        from steelyard.train.sparse.weights import sparse_weights
        from steelyard.train.steps.model_files import lifted_model, training_tools, write_model
        from steelyard.train.steps.training import StepTraining

        context.progress("reading the model", 0, 1)
        lifted = lifted_model(model_path)
        pattern = self._pattern()
        grouped = pattern.kept_and_grouped
        weights = sparse_weights(lifted, keep=self.keep, group_size=grouped[1] if grouped else 0)
        if not weights:
            raise TrainingInputError(
                "nothing_to_sparsify",
                f"{model_path.name} has no convolution, linear or recurrent layer that keep and the pattern leave; "
                "name fewer layers in keep, or a pattern of smaller groups",
            )
        masks = GradualMasks(weights, pattern, grown=self.grown, every=self.every)
        trained = StepTraining(self, model_path, context).run(TrainableModel.of(lifted), hooks=(masks,))
        context.progress("writing the model", 0, 1)
        write_model(lifted, out_path)
        notes = (_share_note(weights), *trained.notes)
        return StepReport(settings=trained.settings, tool_versions=training_tools(), notes=notes)

    def _pattern(self) -> SparsityPattern:
        from steelyard.train.sparse.pattern import SparsityPattern

        block = (int(self.block[0]), int(self.block[1]))
        return SparsityPattern(sparsity=self.sparsity, pattern=self.pattern, scope=self.scope, block=block)


class _Pattern(Sparsify):
    """The settings that both steps have, refused by the name of this one."""

    kind: ClassVar[str] = "sparse-train"


def _share_note(weights: Sequence[SparseWeight]) -> str:
    total = sum(one.values.numel() for one in weights)
    zeros = sum(int((one.values == 0).sum()) for one in weights)
    tensors = "1 tensor" if len(weights) == 1 else f"{len(weights)} tensors"
    return f"{zeros:,} of {total:,} weights in {tensors} are zero ({100 * zeros / total:.1f} %)"

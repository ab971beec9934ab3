"""The loss on a task's truth, chosen by its metric: cross-entropy, mean square error, binary cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.compress.settings import AUTO
from steelyard.tasks.metrics.contract import LABELS, MASKS, TARGETS, Metric
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.objective import Batch
from steelyard.train.loop.output_form import LOGITS, PROBABILITIES, log_shares
from steelyard.train.loop.trainable import TrainableModel

if TYPE_CHECKING:
    from torch import Tensor, nn

CROSS_ENTROPY = "cross-entropy"
MEAN_SQUARE = "mse"
BINARY = "bce"
# Metrics of classes; those that are not named here have no loss of their own.
_BY_METRIC = {
    **dict.fromkeys(("top1", "top5", "topk", "f1", "auc", "miou"), CROSS_ENTROPY),
    **dict.fromkeys(("mae", "rmse", "r2"), MEAN_SQUARE),
}
# The truth that each reads: the first of these that there is.
READS = {CROSS_ENTROPY: (LABELS, MASKS), MEAN_SQUARE: (TARGETS, LABELS), BINARY: (LABELS, TARGETS)}
# Below, the logarithm of a probability says nothing that float32 knows.
_LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelLoss:
    """The loss of one output against the truth; an ``Objective`` by itself.

    ``form`` says what the output holds (``output_form``); ``class_axis`` is that of scores of classes. Pixels of
    ``ignored_label`` do not count.
    """

    name: str
    output: str
    form: str = LOGITS
    class_axis: int = 1
    label_smoothing: float = 0.0
    ignored_label: int = -100
    extra: nn.Module | None = None

    def terms(self, model: TrainableModel, batch: Batch) -> Mapping[str, Tensor]:
        """Return the loss as the only term."""
        return {self.name: self.of(model.run(batch.inputs), batch)}

    def of(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return the loss of outputs, a mean over the batch; a mixed sample has its share of two truths."""
        given = outputs[self.output].float()
        one = {CROSS_ENTROPY: self._cross_entropy, MEAN_SQUARE: _mean_square, BINARY: self._binary}[self.name]
        read = next(name for name in READS[self.name] if name in batch.truth)
        if batch.mix is None:
            return one(given, batch.truth[read])
        share = batch.mix.share
        return share * one(given, batch.truth[read]) + (1 - share) * one(given, batch.mix.truth[read])

    def _cross_entropy(self, given: Tensor, labels: Tensor) -> Tensor:
        from torch.nn import functional

        scores = log_shares(given, self.form).movedim(self.class_axis, 1)
        if labels.dim() > 1 and not bool((labels != self.ignored_label).any()):
            # The mean over no pixel is no number, and says nothing of the run.
            return scores.sum() * 0
        return functional.cross_entropy(
            scores, labels, label_smoothing=self.label_smoothing, ignore_index=self.ignored_label
        )

    def _binary(self, given: Tensor, truth: Tensor) -> Tensor:
        from torch.nn import functional

        wanted = truth.to(given.dtype).reshape(given.shape)
        if self.form == PROBABILITIES:
            bounded = given.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
            return functional.binary_cross_entropy(bounded, wanted)
        return functional.binary_cross_entropy_with_logits(given, wanted)


def _mean_square(given: Tensor, truth: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.mse_loss(given, truth.to(given.dtype).reshape(given.shape))


def scored_output(metric: Metric) -> tuple[str, int | None]:
    """Return the output that a metric reads ("": the first) and its axis of classes, None where it has none."""
    is_of_classes = _BY_METRIC.get(metric.kind) == CROSS_ENTROPY
    return str(getattr(metric, "output", "")), _class_axis(metric) if is_of_classes else None


def label_loss(
    setting: str,
    metric: Metric,
    outputs: Mapping[str, Tensor],
    *,
    form_of: Callable[[Tensor, int], str],
    scores: Collection[str] = (),
    label_smoothing: float = 0.0,
) -> LabelLoss:
    """Return the loss for a metric.

    Args:
        setting: what the recipe says, "auto" goes by the metric.
        metric: the task's.
        outputs: what the model gives for a few samples.
        form_of: what an output holds, scores of classes along an axis, by its values.
        scores: names of outputs that hold scores whatever their values are.
        label_smoothing: for cross-entropy.

    Raises:
        TrainingInputError: no_loss: the metric has no loss here; output_misfit: the output has no place for classes.
    """
    output = scored_output(metric)[0] or next(iter(outputs))
    if output not in outputs:
        raise TrainingInputError(
            "output_misfit", f"the metric reads the output {output!r}, and the model gives {', '.join(outputs)}"
        )
    given = outputs[output]
    name = _BY_METRIC.get(metric.kind, "") if setting == AUTO else setting
    if not name:
        raise TrainingInputError(
            "no_loss",
            f'there is no loss for the metric {metric.kind}; name one (loss = "mse"), or let a teacher teach and set '
            "label_weight = 0",
        )
    if name == CROSS_ENTROPY and LABELS in metric.truth_arrays and (given.dim() < 2 or given.shape[-1] == 1):
        name = BINARY
    axis = _class_axis(metric) % max(given.dim(), 1)
    # Several scores that each say yes or no do not add up.
    by_class = given.flatten() if name == BINARY else given
    return LabelLoss(
        name=name,
        output=output,
        form=LOGITS if name == MEAN_SQUARE or output in scores else form_of(by_class, axis if name != BINARY else -1),
        class_axis=axis,
        label_smoothing=label_smoothing if name == CROSS_ENTROPY else 0.0,
        ignored_label=int(getattr(metric, "ignore_label", -100)),
    )


def _class_axis(metric: Metric) -> int:
    return int(getattr(metric, "class_axis", -1))

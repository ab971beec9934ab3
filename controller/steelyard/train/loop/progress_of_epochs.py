"""What became of the epochs of a training, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.train.loop.validation import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch: ``number`` counted from 1, the mean ``loss`` over its batches, and the validation score after it."""

    number: int
    loss: float
    score: Score

    def __str__(self) -> str:
        return f"loss {self.loss:.4f}, {self.score}"

    def plain(self) -> list[Any]:
        """Return it as checkpoints keep it."""
        return [self.number, self.loss, self.score.plain()]

    @classmethod
    def of(cls, plain: list[Any]) -> EpochRecord:
        """Return what ``plain`` made a list of."""
        return cls(number=plain[0], loss=plain[1], score=Score.of(plain[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOutcome:
    """What a training came to; its module is the model that stays.

    ``kept_epoch`` 0 is the model as it was before. ``stopped`` says why it ended before its last epoch, "" when it did
    not. ``resumed_from`` epochs were run before; ``began_anew``: some were, of a model of other sizes.
    """

    records: tuple[EpochRecord, ...]
    before: Score
    kept_epoch: int
    kept: Score
    epoch_count: int
    stopped: str = ""
    resumed_from: int = 0
    began_anew: bool = False
    terms: Mapping[str, float] = field(default_factory=dict)

    def notes(self) -> tuple[str, ...]:
        """Return sentences for a report."""
        if self.kept_epoch:
            first = f"{self.before} before training, {self.kept} after epoch {self.kept_epoch} of {self.epoch_count}"
        else:
            first = f"no epoch was better than the model as it came ({self.before}): its weights are unchanged"
        terms = ", ".join(f"{name} {value:.4f}" for name, value in self.terms.items())
        resumed = f"went on behind epoch {self.resumed_from}" if self.resumed_from else ""
        if self.began_anew:
            resumed = "began anew: what an earlier run kept is of a model of other sizes"
        last = f"loss at the end: {terms}" if terms else ""
        return tuple(one for one in (first, self.stopped, resumed, last) if one)

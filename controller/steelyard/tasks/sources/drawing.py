"""Draw the samples of each split out of one collection: seeded, disjoint, and recorded. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError


class DrawSettings(Protocol):
    """The settings of a source whose samples are drawn."""

    @property
    def seed(self) -> int:
        """Of the drawing."""
        ...

    @property
    def evaluation_count(self) -> int:
        """Samples to evaluate on; 0: all that are left."""
        ...

    @property
    def calibration_count(self) -> int:
        """Samples to calibrate on."""
        ...

    @property
    def validation_count(self) -> int:
        """Samples to validate on."""
        ...

    @property
    def training_count(self) -> int:
        """Samples to train on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How many samples each split gets; ``evaluation`` 0: all that are left."""

    seed: int = 0
    evaluation: int = 0
    calibration: int = 0
    validation: int = 0
    training: int = 0

    def __post_init__(self) -> None:
        """Refuse counts below nothing."""
        for name in ("evaluation", "calibration", "validation", "training"):
            count = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise TaskError("invalid_setting", f"{name}_count is {count!r}; write a whole number, 0 for none")

    @classmethod
    def of(cls, settings: DrawSettings) -> Draw:
        """Return what the settings of a source ask for.

        Raises:
            TaskError: a count below nothing.
        """
        return cls(
            seed=settings.seed,
            evaluation=settings.evaluation_count,
            calibration=settings.calibration_count,
            validation=settings.validation_count,
            training=settings.training_count,
        )

    def indexes(self, count: int, source: object, *, is_evaluated: bool = True) -> dict[str, NDArray[np.int64]]:
        """Return for each split that is not empty which of ``count`` samples it gets, in their stored order.

        Samples that are not evaluated on may all be taken.

        Raises:
            TaskError: too_few_samples.
        """
        wanted = self.evaluation + self._taken_first[-1]
        if wanted > count or (is_evaluated and self.evaluation == 0 and wanted == count):
            raise TaskError(
                "too_few_samples",
                f"{source} has {count} samples and {wanted} are asked for in all, with one more at least for the "
                "evaluation where that is left open; ask for fewer",
            )
        order = np.random.default_rng(self.seed).permutation(count)
        calibration, validation, training, rest = np.split(order, self._taken_first)
        evaluation = rest[: self.evaluation] if self.evaluation else rest
        drawn = {"evaluation": evaluation, "calibration": calibration, "validation": validation, "training": training}
        return {name: np.sort(indexes).astype(np.int64) for name, indexes in drawn.items() if indexes.size}

    @property
    def _taken_first(self) -> list[int]:
        """Where calibration, validation and training samples end, in this order."""
        return list(accumulate((self.calibration, self.validation, self.training)))

    def told(self) -> dict[str, object]:
        """Return what was drawn as lineage keeps it."""
        return {
            "seed": self.seed,
            "evaluation_count": self.evaluation,
            "calibration_count": self.calibration,
            "validation_count": self.validation,
            **({"training_count": self.training} if self.training else {}),
        }

"""What a teacher says of samples that every epoch shows unchanged: asked for once, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steelyard.compress.contract import Progress
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.objective import Batch
from steelyard.train.loop.place import Place
from steelyard.train.loop.trainable import TrainableModel

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from steelyard.train.distill.teaching import Teacher

# Of one teacher. Scores of a thousand classes for 60,000 samples are less; maps of every pixel are more.
_MOST_BYTES = 2**28
# Products of one row are added up in another order.
_SAME = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RepeatedSamples:
    """The samples of a training that changes none: ``data`` in batches of ``batch_size``, computed at ``place``."""

    data: TrainingData
    batch_size: int
    place: Place
    progress: Progress


class KeptAnswers:
    """The outputs of a teacher for each of some samples, by the student's names.

    All are made at the first question, in the order of the samples: a training that goes on hears the same, to the bit.
    """

    def __init__(self, teacher: Teacher, samples: RepeatedSamples) -> None:
        self._teacher = teacher
        self._samples = samples
        self._kept: Mapping[str, Tensor] | None = None

    @classmethod
    def where_they_fit(
        cls,
        teacher: Teacher,
        samples: RepeatedSamples | None,
        looked_at: Mapping[str, Tensor],
        *,
        batch: Batch,
        student: TrainableModel,
    ) -> KeptAnswers | None:
        """Return what keeps a teacher's answers; None: samples change, all are too large, or not each has its own.

        ``looked_at`` are its outputs for ``batch``.
        """
        if samples is None or not _each_has_its_own(teacher, looked_at, batch, student):
            return None
        each = sum(one[0].nbytes for one in looked_at.values())
        return cls(teacher, samples) if each * samples.data.sample_count <= _MOST_BYTES else None

    def of(self, places: NDArray[np.int64], student: TrainableModel) -> dict[str, Tensor]:
        """Return the outputs for the samples at ``places`` [B] of the training."""
        import torch

        if self._kept is None:
            self._kept = self._all(student)
        rows, device = torch.from_numpy(places), self._samples.place.device
        return {name: one[rows].to(device) for name, one in self._kept.items()}

    def _all(self, student: TrainableModel) -> dict[str, Tensor]:
        import torch

        samples, count = self._samples, self._samples.data.sample_count
        found: list[dict[str, Tensor]] = []
        for start in range(0, count, samples.batch_size):
            places = np.arange(start, min(start + samples.batch_size, count))
            inputs, _ = samples.data.take(places)
            given = {name: samples.place.put(np.ascontiguousarray(array)) for name, array in inputs.items()}
            with samples.place.autocast():
                made = self._teacher.run(given, student)
            found.append({name: one.cpu() for name, one in made.items()})
            samples.progress(f"asking the teacher {self._teacher.name}", int(places[-1]) + 1, count)
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}


def _each_has_its_own(teacher: Teacher, looked_at: Mapping[str, Tensor], batch: Batch, student: TrainableModel) -> bool:
    """Return whether the rows of all outputs are the samples', each the same with and without the others."""
    import torch

    if any(one.dim() == 0 or len(one) != batch.size for one in looked_at.values()):
        return False
    try:
        alone = teacher.run({name: one[:1] for name, one in batch.inputs.items()}, student)
    except RuntimeError:
        # It counts on the batch of its file.
        return False
    return all(
        alone[name].shape == one[:1].shape and torch.allclose(alone[name], one[:1], _SAME, _SAME, equal_nan=True)
        for name, one in looked_at.items()
    )

"""The batches of an epoch: the same for the same seed and epoch, whatever was run before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.train.loop.augmentation import Arrays, Augmentation, Mixture
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.objective import Batch, Mix
from steelyard.train.loop.place import Place


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feeding:
    """Samples in batches of ``batch_size``, shuffled and changed anew each epoch by ``seed``."""

    data: TrainingData
    batch_size: int
    augmentation: Augmentation
    seed: int
    place: Place

    @classmethod
    def of(cls, data: TrainingData, *, batch_size: int, augment: tuple[str, ...], seed: int, place: Place) -> Feeding:
        """Return the batches of some samples; fewer samples than a batch are one.

        Raises:
            TrainingInputError: an augmentation that does not fit the samples.
        """
        inputs, _ = data.take(np.zeros(1, dtype=np.int64))
        shapes = {name: array.shape[1:] for name, array in inputs.items()}
        dtypes = {name: array.dtype.name for name, array in inputs.items()}
        return cls(
            data=data,
            batch_size=min(batch_size, data.sample_count),
            augmentation=Augmentation(augment, shapes=shapes, dtypes=dtypes, truth=data.truth),
            seed=seed,
            place=place,
        )

    @property
    def batch_count(self) -> int:
        """How many batches an epoch has; samples that fill none are left out of this epoch."""
        return self.data.sample_count // self.batch_size

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, counted from 0."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(self.data.sample_count)
        for start in range(0, self.batch_count * self.batch_size, self.batch_size):
            places = order[start : start + self.batch_size]
            inputs, truth = self.data.take(places)
            changed, mixture = self.augmentation.apply(inputs, rng)
            yield self._batch(changed, mixture, truth, places=None if self.augmentation.kinds else places)

    def plain(self, count: int) -> Iterator[Batch]:
        """Yield up to ``count`` batches of unchanged samples, always the same."""
        order = np.random.default_rng([self.seed]).permutation(self.data.sample_count)
        for number in range(min(count, self.batch_count)):
            places = order[number * self.batch_size : (number + 1) * self.batch_size]
            inputs, truth = self.data.take(places)
            yield self._batch(inputs, None, truth, places=places)

    def _batch(
        self,
        inputs: Arrays,
        mixture: Mixture | None,
        truth: Mapping[str, np.ndarray],
        *,
        places: NDArray[np.int64] | None,
    ) -> Batch:
        put = self.place.put
        mix = None
        if mixture is not None:
            others = {name: put(array[mixture.partners]) for name, array in truth.items()}
            mix = Mix(truth=others, share=mixture.share)
        return Batch(
            inputs={name: put(np.ascontiguousarray(array)) for name, array in inputs.items()},
            truth={name: put(array) for name, array in truth.items()},
            mix=mix,
            places=places,
        )

"""What importances may ask of a model on training samples; gathered when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.objective import Batch, Objective
from steelyard.train.loop.trainable import TrainableModel

if TYPE_CHECKING:
    from torch import Tensor, nn

Batches = Callable[[], Iterator[Batch]]


class Statistics:
    """Gradients and activations of one model over a few batches.

    ``batches`` None is a step without samples: what needs them is refused.
    """

    def __init__(
        self, model: TrainableModel, *, objective: Objective | None, batches: Batches | None, seed: int = 0
    ) -> None:
        """Gather nothing yet."""
        self.model = model
        self.seed = seed
        self._objective = objective
        self._batches = batches
        self._gradients: dict[str, Tensor] | None = None
        self._squared: dict[str, Tensor] | None = None
        self._activations: dict[str, Tensor] | None = None
        self._names: dict[int, str] = {id(one): name for name, one in model.module.named_modules()}

    def name_of(self, layer: nn.Module) -> str:
        """Return the name of a layer of the model."""
        return self._names[id(layer)]

    def put_gradients(self) -> None:
        """Set ``grad`` of every parameter to the mean gradient of what is minimised, where torch-pruning reads it."""
        if self._gradients is None:
            self._gradients = self._gathered_gradients()
        for name, one in self.model.module.named_parameters():
            one.grad = self._gradients[name].clone()

    def put_squared_gradients(self) -> None:
        """Set ``grad`` of every parameter to the mean over samples of the square of their gradients.

        That is the diagonal of the empirical Fisher matrix, which stands for the Hessian's.
        """
        if self._squared is None:
            self._squared = self._gathered_squares()
        for name, one in self.model.module.named_parameters():
            one.grad = self._squared[name].clone()

    def each_gradient(self) -> Iterator[None]:
        """Yield after ``grad`` of every parameter was set to the gradient of one sample, for sample after sample."""
        import torch

        for batch in self._given():
            for place in range(batch.size):
                one = Batch(
                    inputs={name: values[place : place + 1] for name, values in batch.inputs.items()},
                    truth={name: values[place : place + 1] for name, values in batch.truth.items()},
                )
                self.model.module.zero_grad(set_to_none=False)
                self._loss(one).backward()
                self._fill_missing(torch)
                yield

    def activations(self) -> Mapping[str, Tensor]:
        """Return the mean magnitude of each channel that a layer gives, float32 [channels], by the layer's name.

        Maps [B, C, H, W] have their channels on axis 1, sequences and vectors on the last (``recorded``).
        """
        if self._activations is None:
            self._activations = self._gathered_activations()
        return self._activations

    def _gathered_gradients(self) -> dict[str, Tensor]:
        import torch

        self.model.module.zero_grad(set_to_none=True)
        count = 0
        for batch in self._given():
            self._loss(batch).backward()
            count += 1
        self._fill_missing(torch)
        return {name: one.grad / count for name, one in self.model.module.named_parameters()}

    def _gathered_squares(self) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        count = 0
        for _ in self.each_gradient():
            for name, one in self.model.module.named_parameters():
                sums[name] = sums.get(name, 0) + one.grad.square()
            count += 1
        return {name: total / count for name, total in sums.items()}

    def _gathered_activations(self) -> dict[str, Tensor]:
        import torch

        from steelyard.train.distill.features import layers_of, recorded

        layers = layers_of(self.model.module)
        sums: dict[str, Tensor] = {}
        count = 0
        with torch.no_grad():
            for batch in self._given():
                with recorded(self.model.module, layers) as given:
                    self.model.run(batch.inputs)
                for name, values in given.items():
                    if values.dim() < 2 or not values.is_floating_point():
                        continue
                    axis = 1 if values.dim() >= 4 else values.dim() - 1
                    others = [one for one in range(values.dim()) if one != axis]
                    sums[name] = sums.get(name, 0) + values.abs().mean(dim=others)
                count += 1
        return {name: total / count for name, total in sums.items()}

    def _given(self) -> Iterator[Batch]:
        if self._batches is None:
            raise TrainingInputError(
                "no_training_data",
                "this importance looks at samples, and there are none; give a task with a training split, or choose "
                "l1 or l2",
            )
        self.model.module.eval()
        yield from self._batches()

    def _loss(self, batch: Batch) -> Tensor:
        assert self._objective is not None
        terms = list(self._objective.terms(self.model, batch).values())
        return sum(terms[1:], start=terms[0])

    def _fill_missing(self, torch: object) -> None:
        """Give parameters that nothing hangs on a gradient of zeros."""
        for one in self.model.module.parameters():
            if one.grad is None:
                one.grad = torch.zeros_like(one)  # type: ignore[attr-defined]

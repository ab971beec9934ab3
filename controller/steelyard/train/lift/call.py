"""What a rule is given: one operation, its inputs, and the builder, with the questions that rules ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import nn

from steelyard.train.errors import LiftError
from steelyard.train.lift.build import Builder
from steelyard.train.lift.ops import size_functions
from steelyard.train.lift.source import TORCH_FREE, Operation
from steelyard.train.lift.values import Made, Sizes, Stored, Value

Rule = Callable[["Call"], Value | Sequence[Value]]


class Call:
    """One operation that is being lifted. ``values`` are its inputs, None for one that is left out."""

    def __init__(self, operation: Operation, values: Sequence[Value | None], build: Builder, opset: int) -> None:
        self.operation = operation
        self.values = values
        self.build = build
        self.opset = opset

    @property
    def name(self) -> str:
        """The name of the ONNX node, or what it makes."""
        return self.operation.name or f"{self.operation.op_type}_{self.operation.first_output}"

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the operation."""
        return self.operation.attributes.get(name, default)

    def has(self, at: int) -> bool:
        """Return whether the input is given."""
        return at < len(self.values) and self.values[at] is not None

    def wants(self, at: int) -> bool:
        """Return whether anything may read the output."""
        return at < len(self.operation.outputs) and bool(self.operation.outputs[at])

    def given(self, at: int) -> Value:
        """Return an input as it is.

        Raises:
            LiftError: it is left out.
        """
        value = self.values[at] if at < len(self.values) else None
        return value if value is not None else self.refuse(f"has no input {at}")

    def tensor(self, at: int) -> Made | Stored:
        """Return an input as a tensor."""
        return self.build.as_tensor(self.given(at))

    def tensors(self) -> list[Made | Stored]:
        """Return all inputs as tensors."""
        return [self.tensor(at) for at in range(len(self.values)) if self.values[at] is not None]

    def sample(self, at: int = 0) -> torch.Tensor:
        """Return what an input is on the sample inputs."""
        return self.tensor(at).sample

    def stored(self, at: int) -> torch.Tensor:
        """Return an input that the file holds.

        Raises:
            LiftError: it is computed.
        """
        value = self.given(at)
        return (
            value.tensor if isinstance(value, Stored) else self.refuse(f"computes its input {at}, which must be stored")
        )

    def key(self, at: int) -> str:
        """Return where a stored input came from."""
        value = self.given(at)
        return value.key if isinstance(value, Stored) else ""

    def is_stored(self, at: int) -> bool:
        """Return whether the input is given and the file holds it."""
        return self.has(at) and isinstance(self.values[at], Stored)

    def numbers(self, name: str, at: int | None = None) -> list[Any] | None:
        """Return numbers that older opsets keep as an attribute and newer ones as a stored input, None for neither."""
        listed = self.attribute(name)
        if listed is None and at is not None and self.has(at):
            listed = self.stored(at).reshape(-1).tolist()
        return None if listed is None else list(listed)

    def number(self, name: str, at: int | None = None, default: float | None = None) -> Any:
        """Return one number, as ``numbers`` does."""
        value = self.attribute(name)
        if value is None and at is not None and self.has(at):
            value = self.stored(at).reshape(-1)[0].item()
        return default if value is None else value

    def sizes(self, at: int) -> Any:
        """Return an input as sizes: a list or a number, or ``Sizes`` where they are computed."""
        value = self.given(at)
        if isinstance(value, Stored):
            return value.tensor.tolist()
        return value if isinstance(value, Sizes) else self.call(size_functions.read, value)

    def axis(self, default: int, rank: int, name: str = "axis") -> int:
        """Return the attribute ``axis``, counted from the front."""
        return int(self.attribute(name, default)) % max(rank, 1)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Value:
        """Add a call of a function."""
        return self.build.call(function, *args, **kwargs)

    def module(self, module: nn.Module, *args: Value | None) -> Value:
        """Add a layer that is named as the operation is."""
        return self.build.module(module, self.name, *args)

    def weight(self, at: int, tensor: torch.Tensor | None = None, form: str = "") -> nn.Parameter:
        """Return a stored input as a parameter; ``tensor`` is another form of it, which ``form`` names."""
        key = self.key(at)
        kept = self.stored(at) if tensor is None else tensor
        # Turned twice is as it was.
        return self.build.weight(f"{key}{form}".replace(":T:T", "") if key else "", kept)

    def refuse(self, why: str) -> NoReturn:
        """Raise a sentence on this operation that ends in the way on."""
        raise LiftError("unsupported_form", f"{self.operation.label} {why}; change it in the export, or {TORCH_FREE}")

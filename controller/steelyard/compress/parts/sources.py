"""Where the inputs of a part come from, one frozen dataclass a kind."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.compress.errors import CompressionInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInput:
    """Samples of the task; with ``window`` > 0 a step takes so many places of ``axis``, ``hop`` further each time."""

    name: str
    window: int = 0
    hop: int = 1
    axis: int = 1

    def __post_init__(self) -> None:
        """Refuse windows that never move and the axis of the samples."""
        if self.window < 0 or self.hop < 1 or self.axis < 1:
            raise CompressionInputError(
                "invalid_parts",
                f"the task input {self.name!r} has window {self.window}, hop {self.hop} and axis {self.axis}; give "
                "positive numbers (axis 0 are the samples)",
            )

    def step_count(self, size: int) -> int:
        """Return how many steps ``size`` places give."""
        return (size - self.window) // self.hop + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedInput:
    """A value that is the same in every call, as TOML has it."""

    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOutput:
    """An output of a part before this one: of its last step, or with ``each_step`` of the same step."""

    part: str
    output: str
    each_step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInput:
    """This part's own output of the step before.

    Before the first step every element is ``initial``, or the input is the output ``start`` of another part. Open sizes
    of the model's declaration are 1 where they are the batch, else 0 (a cache that grows is empty), or as in ``shape``.
    """

    output: str
    initial: float = 0.0
    start: PartOutput | None = None
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GreedyInput:
    """The class with the highest score in this part's output of the step before; ``first`` before the first step."""

    output: str
    first: int = 0


Source = TaskInput | FixedInput | PartOutput | StateInput | GreedyInput

"""What a step may have beside the contract: that it learns from samples, and reads other models than its input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from steelyard.compress.contract import Step

if TYPE_CHECKING:
    from steelyard.compress.evaluation import EvaluationSet


@runtime_checkable
class Learns(Protocol):
    """A step that learns; it may look at every model of its recipe, and chooses by the validation samples."""

    # Whether it reads the training split of the task.
    needs_training: ClassVar[bool]

    @property
    def artifact_names(self) -> tuple[str, ...]:
        """Other models that it reads (a teacher, a student), by the names that the controller has for them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What steps that learn are given.

    ``training`` are the samples to learn from, None for none. ``artifacts`` are the files of other models by the names
    that the steps use. ``checkpoints`` is a folder in which each step keeps how far it came, below a name of its own;
    it outlives the process, None: nothing is kept. ``training_digest`` and ``choice_digest`` tell what steps learn from
    and choose by, as keys have it, and ``latency_key`` what measures for them.
    """

    training: EvaluationSet | None = None
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    checkpoints: Path | None = None
    training_digest: str = ""
    choice_digest: str = ""
    latency_key: str = ""


def learns(step: Step) -> bool:
    """Return whether a step learns from the training split."""
    return isinstance(step, Learns) and bool(step.needs_training)


def named_artifacts(steps: Iterable[Step]) -> tuple[str, ...]:
    """Return the names of all other models that steps read, each once, in their order."""
    names = (name for step in steps if isinstance(step, Learns) for name in step.artifact_names)
    return tuple(dict.fromkeys(names))

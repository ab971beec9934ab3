"""What is looked at before and after every block, and what it says about the block. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

from steelyard_agent.readings import Reading
from steelyard_agent.validity.contract import Validity

Mark = TypeVar("Mark")


class ThrottleVerdict(Enum):
    """Whether the device slowed itself down; the values are the wire's names without their prefix."""

    NO = "NO"
    YES = "YES"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstance:
    """Something about the device that a figure must be read with; ``value`` None comes with the reason.

    Names are lower snake case: "governor", "power_mode", "android_cpuset".
    """

    name: str
    value: str | None
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a circumstance that is neither told nor explained."""
        if self.value is None and not self.reason:
            raise ValueError(f"circumstance {self.name!r} has neither a value nor a reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleReport:
    """The verdict with one sentence a finding, and what could not be looked at."""

    verdict: ThrottleVerdict
    evidence: tuple[str, ...] = ()
    not_looked_at: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What one source says about the time between two looks, a sentence each.

    ``evidence`` shows that the device slowed itself down. ``hints`` would fit, but have other causes as often.
    ``not_looked_at`` is what the source could not tell, with the reason. ``rules_out`` is True when the source saw
    enough that, without evidence, the device did not slow itself down.
    """

    evidence: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    not_looked_at: tuple[str, ...] = ()
    rules_out: bool = False

    def __post_init__(self) -> None:
        """Refuse a source that both shows throttling and rules it out."""
        if self.evidence and self.rules_out:
            raise ValueError(f"evidence {self.evidence[0]!r} cannot rule throttling out")


class ThrottleSource(Protocol[Mark]):
    """One kind of evidence of throttling; made only where the device has it, and never raises."""

    def look(self) -> Mark:
        """Look now; the mark is for ``weigh`` only, and holds the reason of what could not be looked at."""
        ...

    def weigh(self, before: Mark, after: Mark, latency_ns: Sequence[int]) -> Weighed:
        """Return what two looks say; ``latency_ns`` are the samples of the block between them, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSurroundings:
    """What the two looks say about the block between them.

    ``readings`` are those of both looks, their names ending in "_before" and "_after". ``not_valid`` is why the block's
    figures are worthless, "" when they are not; the block then ends as NOT_VALID and its samples are left out.
    ``validity`` is the verdict with its evidence, None where nobody judged.
    """

    readings: tuple[Reading, ...] = ()
    throttle: ThrottleReport | None = None
    circumstances: tuple[Circumstance, ...] = ()
    not_valid: str = ""
    validity: Validity | None = None


class CircumstanceSource(Protocol):
    """One kind of circumstance (governor, Android's process state); never raises."""

    def read(self) -> list[Circumstance]:
        """Read now; empty where the device has no such thing."""
        ...

    def objection(self, before: Sequence[Circumstance], after: Sequence[Circumstance]) -> str:
        """Return why a block between these is not valid, "" when it is; they are of all sources."""
        ...


class Surroundings(Protocol):
    """Looks at the device around blocks; used by one block at a time, never while one is timed."""

    def look(self) -> object:
        """Look now; the answer is for ``compare`` only. Takes some milliseconds and never raises."""
        ...

    def compare(self, before: object, after: object, latency_ns: Sequence[int]) -> BlockSurroundings:
        """Return what two looks say about the block between them; ``latency_ns`` are its samples in order."""
        ...

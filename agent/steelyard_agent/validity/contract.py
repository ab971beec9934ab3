"""The verdict on a block as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ValidityVerdict(Enum):
    """Whether a block's figures may be used; the values are the wire's names without their prefix."""

    VALID = "VALID"
    NOISY = "NOISY"
    THROTTLED = "THROTTLED"
    CONTENDED = "CONTENDED"
    INCOMPLETE = "INCOMPLETE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """The verdict with one sentence a finding, the first one the weightiest, and what could not be looked at.

    ``waited_ms`` is how long the gate held the block back. ``run_delay_ns``, ``steal_ns`` and ``other_load`` (CPU time
    of others over wall time) are of the timed window; None where they were not told.
    """

    verdict: ValidityVerdict
    evidence: tuple[str, ...] = ()
    not_looked_at: tuple[str, ...] = ()
    waited_ms: int = 0
    run_delay_ns: int | None = None
    steal_ns: int | None = None
    other_load: float | None = None

    def __post_init__(self) -> None:
        """Refuse an accusation without evidence, and evidence without one."""
        if bool(self.evidence) is (self.verdict is ValidityVerdict.VALID):
            raise ValueError(f"the verdict {self.verdict.value} does not go with {len(self.evidence)} findings")

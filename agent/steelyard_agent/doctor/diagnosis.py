"""The doctor's findings as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from steelyard_agent.description import DeviceDescription
from steelyard_agent.profiles import Nearest, Profile
from steelyard_agent.steadying.offers import Offer


class Answer(Enum):
    """Whether a thing can be measured."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One thing that might be measured: what is there (``details``), what is not (``reasons``), what to do about it."""

    name: str
    answer: Answer
    details: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    next_step: str = ""

    def __post_init__(self) -> None:
        """Refuse a "no" without a reason."""
        if self.answer is not Answer.YES and not self.reasons:
            raise ValueError(f"capability {self.name!r} is {self.answer.value!r} without a reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleEvidence:
    """Something by which the device shows that it slowed itself down: "trip points", "flags", and what it says now."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValiditySign:
    """Something by which a block is held back or found not valid: what it is now, or why it cannot be told here."""

    name: str
    can_tell: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The doctor's findings; ``profile`` is the device's, ``nearest`` that of another board where it has none.

    ``throttle_doubt`` is why the throttle verdict of a block can be "yes" and "unknown", but not "no", "" when it can.
    Whatever was probed is in ``device``; ``notes`` say where the profile says otherwise, ``offers`` what ``--fix``
    would change.
    """

    device: DeviceDescription
    capabilities: tuple[Capability, ...]
    throttling: tuple[ThrottleEvidence, ...] = ()
    validity: tuple[ValiditySign, ...] = ()
    throttle_doubt: str = ""
    governors: tuple[str, ...] = ()
    profile: Profile | None = None
    nearest: Nearest | None = None
    is_32_bit: bool = False
    notes: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()

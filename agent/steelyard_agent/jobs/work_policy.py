"""What the device's owner allows: asked before a job gets the device and at each boundary of its rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from steelyard_agent.jobs.errors import JobError


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRefusal:
    """Which rule says no, in a sentence, and until when (Unix nanoseconds of this device's clock; None: not known)."""

    rule: str
    sentence: str
    until_unix_ns: int | None = None


class WorkPolicy(Protocol):
    """The rules of this device; no controller overrides them."""

    async def refusal(self) -> PolicyRefusal | None:
        """Return why no round may begin now, None when one may."""
        ...

    def worked(self, duration_s: float) -> None:
        """Take note that a round ran so long."""
        ...


class AnyWork:
    """Allows everything: a device without a policy."""

    async def refusal(self) -> PolicyRefusal | None:
        """See ``WorkPolicy``."""
        return None

    def worked(self, duration_s: float) -> None:
        """See ``WorkPolicy``."""


class DevicePolicyError(JobError):
    """The device's own policy turned while a job ran; its finished rounds are kept."""

    def __init__(self, refusal: PolicyRefusal) -> None:
        super().__init__("device_policy", f"{refusal.sentence}; finished rounds are kept: offer the job again later")

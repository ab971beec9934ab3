"""The one lease of this device: who holds it, under which epoch, and until when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from steelyard_agent.state.identity import IdentityFile


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """A job's hold on the device; ``controller_id`` is whose job, "" for the one without certificates."""

    job_id: str
    attempt: int
    epoch: int
    ttl_ms: int
    controller_id: str = ""

    def __post_init__(self) -> None:
        """Refuse a hold that would end at once or never."""
        if not 0 < self.ttl_ms <= 7 * 24 * 3_600_000:
            raise ValueError(f"a lease of {self.ttl_ms} ms is not between 1 ms and a week")


class LeaseKeeper:
    """Grants the lease first come, first served; renewed whenever its controller is heard.

    One keeper for the device, however many controllers ask for it. Used from one event loop.
    """

    def __init__(self, identity: IdentityFile, *, clock_s: Callable[[], float]) -> None:
        """Keep epochs in ``identity``; ``clock_s`` is a monotonic clock."""
        self._identity = identity
        self._clock_s = clock_s
        self._renewed_s = 0.0
        self.held: HeldLease | None = None

    def held_by(self, controller_id: str) -> HeldLease | None:
        """Return the lease if a job of this controller holds it."""
        return self.held if self.held is not None and self.held.controller_id == controller_id else None

    def grant(self, job_id: str, attempt: int, ttl_ms: int, *, controller_id: str = "") -> HeldLease | None:
        """Return the lease of this job, or None while another job holds it.

        The job and attempt that hold it keep their epoch, anything else gets the next one, durably.

        Raises:
            StateError: The new epoch cannot be written; nothing was granted.
            ValueError: ``ttl_ms`` makes no sense.
        """
        held = self.held
        if held is not None and (held.job_id, held.controller_id) != (job_id, controller_id):
            return None
        if held is None or held.attempt != attempt:
            asked = HeldLease(job_id=job_id, attempt=attempt, epoch=0, ttl_ms=ttl_ms, controller_id=controller_id)
            held = replace(asked, epoch=self._identity.next_epoch())
        self.held = held
        self.renew()
        return held

    def renew(self) -> None:
        """Start the time to live anew: the controller was heard."""
        self._renewed_s = self._clock_s()

    def remaining_s(self) -> float:
        """Return the seconds until the lease runs out, 0 when it has or when there is none."""
        if self.held is None:
            return 0.0
        return max(0.0, self._renewed_s + self.held.ttl_ms / 1000 - self._clock_s())

    def release(self) -> None:
        """Let the device go."""
        self.held = None

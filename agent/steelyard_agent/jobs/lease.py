"""The one lease of this device: who holds it, under which epoch, until when, and who has it next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from steelyard_agent.jobs.claims import Claim, Claims
from steelyard_agent.state.identity import IdentityFile


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """A job's hold on the device; ``controller_id`` is whose job, "" for the one without certificates."""

    job_id: str
    attempt: int
    epoch: int
    ttl_ms: int
    controller_id: str = ""
    # A number of JobPriority: the higher goes first.
    priority: int = 0

    def __post_init__(self) -> None:
        """Refuse a hold that would end at once or never."""
        if not 0 < self.ttl_ms <= 7 * 24 * 3_600_000:
            raise ValueError(f"a lease of {self.ttl_ms} ms is not between 1 ms and a week")


class LeaseKeeper:
    """Grants the lease to the most urgent, among equals first come, first served; its controller's words renew it.

    A job that holds it is never interrupted from here: it looks at ``more_urgent`` where it can give way.

    One keeper for the device, however many controllers ask for it. Used from one event loop.
    """

    def __init__(self, identity: IdentityFile, *, clock_s: Callable[[], float]) -> None:
        """Keep epochs in ``identity``; ``clock_s`` is a monotonic clock."""
        self._identity = identity
        self._clock_s = clock_s
        self._renewed_s = 0.0
        self._claims = Claims(clock_s=clock_s)
        self.held: HeldLease | None = None
        # Set when a more urgent job than the holder began to wait.
        self.contended = asyncio.Event()

    @property
    def newest_epoch(self) -> int:
        """The last epoch that this device gave to any job: what it sends, it sends under this one."""
        return self._identity.epoch

    def held_by(self, controller_id: str) -> HeldLease | None:
        """Return the lease if a job of this controller holds it."""
        return self.held if self.held is not None and self.held.controller_id == controller_id else None

    def grant(
        self,
        job_id: str,
        attempt: int,
        ttl_ms: int,
        *,
        controller_id: str = "",
        priority: int = 0,
        nudge: Callable[[], None] = lambda: None,
    ) -> HeldLease | None:
        """Return the lease of this job, or None while another job holds it or has it next.

        The job and attempt that hold it keep their epoch, anything else gets the next one, durably. A job that is
        refused is remembered for a while, and ``nudge`` is called when it is its turn.

        Raises:
            StateError: The new epoch cannot be written; nothing was granted.
            ValueError: ``ttl_ms`` makes no sense.
        """
        held = self.held
        asked = HeldLease(
            job_id=job_id, attempt=attempt, epoch=0, ttl_ms=ttl_ms, controller_id=controller_id, priority=priority
        )
        claim = Claim(job_id=job_id, controller_id=controller_id, priority=priority, nudge=nudge)
        is_mine = held is not None and (held.controller_id, held.job_id) == claim.key
        if not is_mine:
            self._claims.put(claim)
            if held is not None or self._claims.first() != claim:
                if self.more_urgent() is not None:
                    self.contended.set()
                return None
        if held is None or held.attempt != attempt:
            held = replace(asked, epoch=self._identity.next_epoch())
        self._claims.drop(claim.key)
        self.held = held
        self.contended.clear()
        self.renew()
        return held

    def withdraw(self, job_id: str, *, controller_id: str = "") -> None:
        """Forget that a job waits."""
        self._claims.drop((controller_id, job_id))

    def next_in_turn(self) -> Claim | None:
        """Return who has the device next, None when nobody waits."""
        return self._claims.first()

    def more_urgent(self) -> Claim | None:
        """Return a job that waits and is more urgent than the one that holds the device; None without one."""
        claim = self._claims.first()
        return claim if claim is not None and self.held is not None and claim.priority > self.held.priority else None

    def renew(self) -> None:
        """Start the time to live anew: the controller was heard."""
        self._renewed_s = self._clock_s()

    def remaining_s(self) -> float:
        """Return the seconds until the lease runs out, 0 when it has or when there is none."""
        if self.held is None:
            return 0.0
        return max(0.0, self._renewed_s + self.held.ttl_ms / 1000 - self._clock_s())

    def release(self) -> None:
        """Let the device go, and say so to whose turn it is."""
        self.held = None
        self.contended.clear()
        if (claim := self._claims.first()) is not None:
            claim.nudge()

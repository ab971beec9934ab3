"""Who waits for the device: the more urgent first, then who asked first. A claim that is not repeated lapses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# A controller asks again every 10 s, or every 30 s while a timed block keeps the link quiet.
CLAIM_TTL_S = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job that was refused because another holds the device; ``nudge`` lets it ask again at once."""

    job_id: str
    controller_id: str
    priority: int
    nudge: Callable[[], None]

    @property
    def key(self) -> tuple[str, str]:
        """Whose it is: two controllers may use the same id for a job."""
        return self.controller_id, self.job_id


class Claims:
    """The jobs that wait for one device. Used from one event loop."""

    def __init__(self, *, clock_s: Callable[[], float], ttl_s: float = CLAIM_TTL_S) -> None:
        """Let a claim lapse ``ttl_s`` after it was last made; ``clock_s`` is monotonic."""
        self._clock_s = clock_s
        self._ttl_s = ttl_s
        self._waiting: dict[tuple[str, str], tuple[Claim, float]] = {}

    def put(self, claim: Claim) -> None:
        """Make a claim, or make it once more, which keeps its place."""
        self._waiting[claim.key] = (claim, self._clock_s() + self._ttl_s)

    def drop(self, key: tuple[str, str]) -> None:
        """Forget a job that waits no more."""
        self._waiting.pop(key, None)

    def first(self) -> Claim | None:
        """Return the claim whose turn it is, None when nobody waits."""
        now_s = self._clock_s()
        self._waiting = {key: one for key, one in self._waiting.items() if one[1] > now_s}
        claims = [claim for claim, _ in self._waiting.values()]
        return max(claims, key=lambda claim: claim.priority) if claims else None

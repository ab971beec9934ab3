"""Arrivals at planned times and their service, one after the other. Clock, sleep and call come in as arguments.

Response time counts from the *intended* start: with a loop that waits for the last inference before it starts the next
clock, one stall of a second would be one slow sample, though every arrival of that second had to wait (coordinated
omission).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from steelyard_agent.worker.stopwatch import Call, Clock

Sleep = Callable[[float], None]

# What a sleep is tried with, and how much of a gap may be spun away: the runtime's threads need the core, and what we
# spin is counted as the worker's CPU time.
_TRIAL_SLEEP_S = 0.001
_TRIAL_COUNT = 20
_MOST_SPIN_NS = 1_000_000
_LEAST_SPIN_NS = 20_000
_SPIN_SHARE = 0.1


def even_offsets(rate_hz: float, *, window_ns: int, least_count: int) -> tuple[int, ...]:
    """Return when arrivals are due, from the window's start: one a period, the first after half of one.

    The first inference then finds the device as idle as any other does.
    """
    count = max(int(window_ns * rate_hz / 1e9), least_count)
    return tuple(round((index + 0.5) * 1e9 / rate_hz) for index in range(count))


def random_offsets(rate_hz: float, *, window_ns: int, least_count: int, seed: int) -> tuple[int, ...]:
    """Return when arrivals are due with exponential gaps (a Poisson process), the same for the same seed."""
    generator = Random(seed)  # noqa: S311 (arrivals, no secret)
    offsets: list[int] = []
    due_ns = generator.expovariate(rate_hz) * 1e9
    while due_ns < window_ns or len(offsets) < least_count:
        offsets.append(round(due_ns))
        due_ns += generator.expovariate(rate_hz) * 1e9
    return tuple(offsets)


def window_of(offsets: Sequence[int], rate_hz: float, window_ns: int) -> int:
    """Return how long the window must be to hold all arrivals, and half a period behind the last one."""
    return max(window_ns, offsets[-1] + ceil(0.5e9 / rate_hz))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """Waits for a moment: sleeps until ``spin_ns`` before it, then reads the clock until it comes."""

    clock: Clock
    sleep: Sleep
    spin_ns: int

    def until(self, moment_ns: int) -> None:
        """Return at the moment, later if the sleep took too long."""
        if (left_ns := moment_ns - self.spin_ns - self.clock()) > 0:
            self.sleep(left_ns / 1e9)
        while self.clock() < moment_ns:
            pass


def make_waiter(rate_hz: float, clock: Clock, sleep: Sleep) -> Waiter:
    """Return a waiter that spins as long as sleeps of a millisecond took too long here, 10 % of a period at most."""
    overshoots = []
    for _ in range(_TRIAL_COUNT):
        before = clock()
        sleep(_TRIAL_SLEEP_S)
        overshoots.append(clock() - before - int(_TRIAL_SLEEP_S * 1e9))
    worst_usual_ns = sorted(overshoots)[_TRIAL_COUNT * 9 // 10]
    longest_ns = min(_MOST_SPIN_NS, int(_SPIN_SHARE * 1e9 / rate_hz))
    return Waiter(clock=clock, sleep=sleep, spin_ns=min(longest_ns, max(_LEAST_SPIN_NS, worst_usual_ns)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PacedRun:
    """What came of the arrivals that began, in order, in nanoseconds; ``end_ns`` is that of the window.

    ``late_ns`` is how long after its intended start each began; ``queued`` whether it found the last one still running.
    """

    service_ns: tuple[int, ...]
    response_ns: tuple[int, ...]
    late_ns: tuple[int, ...]
    queued: tuple[bool, ...]
    missed_count: int
    start_ns: int
    end_ns: int


def pace(call: Call, offsets: Sequence[int], *, window_ns: int, waiter: Waiter) -> PacedRun:
    """Serve arrivals in order, each at its time or as soon as the last one is over, none after the window.

    The window goes on to its end when all are served: what the runtime's threads do between requests is part of it.
    """
    clock, until = waiter.clock, waiter.until
    service, response, late = (array("q", bytes(8 * len(offsets))) for _ in range(3))
    queued = bytearray(len(offsets))
    begun = 0
    start_ns = clock()
    closes_ns = start_ns + window_ns
    for index, offset_ns in enumerate(offsets):
        intended_ns = start_ns + offset_ns
        if (now_ns := clock()) < intended_ns:
            until(intended_ns)
        elif now_ns >= closes_ns:
            break
        else:
            queued[index] = 1
        before = clock()
        call()
        after = clock()
        service[index] = after - before
        response[index] = after - intended_ns
        late[index] = before - intended_ns
        begun = index + 1
    if (left_ns := closes_ns - clock()) > 0:
        waiter.sleep(left_ns / 1e9)
    return PacedRun(
        service_ns=tuple(service[:begun]),
        response_ns=tuple(response[:begun]),
        late_ns=tuple(late[:begun]),
        queued=tuple(map(bool, queued[:begun])),
        missed_count=len(offsets) - begun,
        start_ns=start_ns,
        end_ns=clock(),
    )

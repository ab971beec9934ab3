"""Ends a job that stays in one state for longer than that state's limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from steelyard.control.job_end import JobEnd
from steelyard.state_limits import StateLimits
from steelyard_protocol.v1 import control_pb2

# What is told in these says that nothing happens yet: only leaving them is progress.
_WAITING = frozenset({control_pb2.JOB_STATE_QUEUED, control_pb2.JOB_STATE_GATING})


class StateClock:
    """Counts the time in a job's present state. Used from one event loop."""

    def __init__(self, limits: StateLimits, timeout: asyncio.Timeout) -> None:
        """Let ``timeout`` expire where a limit of ``limits`` is over."""
        self._limits = limits
        self._timeout = timeout
        self.state = control_pb2.JOB_STATE_UNSPECIFIED

    def told(self, state: control_pb2.JobState.ValueType) -> None:
        """Take note of what a job does: entering a state counts from 0, and so does news of one that is no waiting."""
        if state == self.state and state in _WAITING:
            return
        self.state = state
        limit_s = self.limit_s()
        self._timeout.reschedule(None if limit_s is None else asyncio.get_running_loop().time() + limit_s)

    def limit_s(self) -> float | None:
        """Return the limit of the present state; None where there is none."""
        limits = self._limits
        return {
            control_pb2.JOB_STATE_QUEUED: limits.queued_s,
            control_pb2.JOB_STATE_LEASED: limits.leased_s,
            control_pb2.JOB_STATE_STAGING: limits.staging_s,
            control_pb2.JOB_STATE_GATING: limits.gating_s,
            control_pb2.JOB_STATE_RUNNING: limits.running_s,
            control_pb2.JOB_STATE_UPLOADING: limits.uploading_s,
        }.get(self.state)


@asynccontextmanager
async def limited(limits: StateLimits) -> AsyncIterator[StateClock]:
    """Run a job inside, which tells the clock of each state; it begins in QUEUED.

    Raises:
        JobEnd: TIMEOUT, ``timeout_STATE``.
    """
    try:
        async with asyncio.timeout(None) as timeout:
            clock = StateClock(limits, timeout)
            clock.told(control_pb2.JOB_STATE_QUEUED)
            yield clock
    except TimeoutError as error:
        if not timeout.expired():
            raise
        state = control_pb2.JobState.Name(clock.state).removeprefix("JOB_STATE_").lower()
        raise JobEnd(
            control_pb2.JOB_STATE_TIMEOUT,
            f"timeout_{state}",
            f"nothing changed in {clock.limit_s():g} s of {state}; what was finished is kept: look at the device, and "
            f"submit the job again, or raise the limit (state_limits: {state}=TIME)",
        ) from error

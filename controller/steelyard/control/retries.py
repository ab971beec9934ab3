"""Failures of a device that another try may mend: how often, after what pause, and what is kept of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from steelyard.control.job_end import JobEnd
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import common_pb2, control_pb2

MAX_ATTEMPTS = 3
_PAUSE_S = 5.0
# A card that failed to write, a link that was down, a cable that was loose. A disk that was full
# for minutes, a model that is refused or a plan that makes no sense would be the same a minute later.
TRANSIENT = frozenset({"adb_failed", "device_io", "identity_not_written", "link_down", "phone_silent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """``keep(attempt, error, message)`` stores an attempt that failed and the line about the next one."""

    keep: Callable[[int, common_pb2.ErrorInfo, str], Awaitable[None]]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    most: int = MAX_ATTEMPTS

    async def next_attempt(self, attempt: int, error: common_pb2.ErrorInfo) -> int:
        """Return the number of the next attempt, after a pause that grows threefold each time.

        Raises:
            JobEnd: AGENT_ERROR: another try would not help, or there were enough.
        """
        if error.reason not in TRANSIENT:
            raise JobEnd(control_pb2.JOB_STATE_AGENT_ERROR, error.reason, error.message)
        if attempt >= self.most:
            raise JobEnd(
                control_pb2.JOB_STATE_AGENT_ERROR, error.reason, f"{error.message} (attempt {attempt} of {self.most})"
            )
        pause_s = _PAUSE_S * 3 ** (attempt - 1)
        message = f"attempt {attempt} of {self.most} failed: {error.message}; tried again in {pause_s:.0f} s"
        await self.keep(attempt, error, message)
        await self.pause(pause_s)
        return attempt + 1


async def keep_failed_attempt(
    store: AsyncStore, job_id: str, attempt: int, error: common_pb2.ErrorInfo, message: str
) -> None:
    """Store an attempt that failed beside its job, which waits for the next one."""
    failed = control_pb2.FailedAttempt(attempt=attempt, error=error)
    await store.call_when_room(
        Store.transition,
        job_id,
        control_pb2.JOB_STATE_QUEUED,
        message=message,
        attempt=attempt + 1,
        failed_attempt=failed,
    )

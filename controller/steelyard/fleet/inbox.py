"""What a job hears from its device: one queue a job, filled by the session, read by the job's own task."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from steelyard_protocol.v1 import result_pb2, session_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp:
    """The device connected (again); ``hello`` says what it still holds."""

    hello: session_pb2.Hello


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLost:
    """The device's session ended, cleanly or not."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecorded:
    """A round is in the store; the agent was told."""

    key: result_pb2.ResultKey
    result: result_pb2.RoundResult


JobNews = (
    LinkUp
    | LinkLost
    | RoundRecorded
    | session_pb2.LeaseAnswer
    | session_pb2.JobProgress
    | session_pb2.GrantFinished
    | session_pb2.JobFailed
)


class JobInbox:
    """The queue of one job."""

    def __init__(self, job_id: str, device_id: str) -> None:
        self.job_id = job_id
        self.device_id = device_id
        self._queue: asyncio.Queue[JobNews] = asyncio.Queue()

    def put(self, news: JobNews) -> None:
        """Add what was heard; never blocks."""
        self._queue.put_nowait(news)

    async def get(self, timeout_s: float | None = None) -> JobNews | None:
        """Return the next news, or None when nothing came in time."""
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes with the news, and the job goes on.
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

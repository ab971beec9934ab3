"""Ends of jobs that the store could not take, on a full disk mostly: told at once, and stored when it takes them."""

from __future__ import annotations

import asyncio
import logging

from steelyard.store.errors import StoreError
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import common_pb2, control_pb2

_log = logging.getLogger(__name__)

_RETRY_PAUSE_S = 1.0


class UnrecordedEnds:
    """Records how jobs end. Used from one event loop.

    A controller that ends before the store took an end finds the job unfinished when it starts again, and resumes it.
    """

    def __init__(self, store: AsyncStore, *, retry_pause_s: float = _RETRY_PAUSE_S) -> None:
        self._store = store
        self._retry_pause_s = retry_pause_s
        self._ends: dict[str, control_pb2.Job] = {}
        self._retrying: asyncio.Task[None] | None = None

    async def record(self, job_id: str, state: control_pb2.JobState.ValueType, error: common_pb2.ErrorInfo) -> None:
        """Store the end of a job, now or as soon as the store takes it."""
        end = control_pb2.Job(state=state, error=error)
        if await self._stored(job_id, end):
            return
        self._ends[job_id] = end
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.create_task(self._retry())

    def as_known(self, job: control_pb2.Job) -> control_pb2.Job:
        """Return a stored job with its end, also when the store could not take that."""
        end = self._ends.get(job.job_id)
        if end is not None:
            job.MergeFrom(end)
        return job

    async def stop(self) -> None:
        """Try no more."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.gather(self._retrying, return_exceptions=True)

    async def _retry(self) -> None:
        while self._ends:
            await asyncio.sleep(self._retry_pause_s)
            for job_id, end in list(self._ends.items()):
                if not await self._stored(job_id, end):
                    break
                _log.info("the end of job %s is recorded now", job_id)
                del self._ends[job_id]

    async def _stored(self, job_id: str, end: control_pb2.Job) -> bool:
        try:
            await self._store.call(Store.transition, job_id, end.state, message=end.error.message, error=end.error)
        except StoreError as trouble:
            if job_id not in self._ends:
                _log.warning("the end of job %s could not be recorded: %s", job_id, trouble)
            return False
        return True

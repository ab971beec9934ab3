"""A store that cannot take the end of a job: whoever waits hears of it, and the job can be resumed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from steelyard.control.job_world import JobWorld
from steelyard.control.jobs import Jobs
from steelyard.control.unrecorded_ends import UnrecordedEnds
from steelyard.fleet.registry import Fleet
from steelyard.store.errors import StoreError
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import common_pb2, control_pb2


class FullStore:
    """Reads well and cannot write: a database on a full disk."""

    async def call(self, method: Any, *arguments: Any, **_: Any) -> Any:
        if method.__name__ == "transition":
            raise StoreError("disk_full", "the database is full: free space on its disk")
        return control_pb2.Job(job_id=arguments[0], state=control_pb2.JOB_STATE_RUNNING)


class SoonFullStore(FullStore):
    """Takes an end once somebody freed its disk."""

    def __init__(self) -> None:
        self.is_full = True
        self.taken: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    async def call(self, method: Any, *arguments: Any, **named: Any) -> Any:
        if method.__name__ != "transition" or self.is_full:
            return await super().call(method, *arguments)
        self.taken.put_nowait((*arguments, named["error"].reason))
        return None


async def test_the_end_of_a_job_is_told_when_it_cannot_be_stored() -> None:
    jobs = Jobs(cast("JobWorld", SimpleNamespace(store=FullStore(), fleet=Fleet(), devices=None)))
    ended = await jobs.cancel("job-1")
    assert ended.state == control_pb2.JOB_STATE_CANCELLED
    assert ended.error.reason == "cancelled"


def test_a_job_that_the_store_has_in_full_is_left_alone() -> None:
    jobs = Jobs(cast("JobWorld", SimpleNamespace(store=FullStore(), fleet=Fleet(), devices=None)))
    job = control_pb2.Job(job_id="job-2", state=control_pb2.JOB_STATE_RECORDED)
    assert jobs.as_known(job) == control_pb2.Job(job_id="job-2", state=control_pb2.JOB_STATE_RECORDED)


async def test_an_end_that_the_store_could_not_take_is_stored_when_its_disk_has_room_again() -> None:
    store = SoonFullStore()
    ends = UnrecordedEnds(cast("AsyncStore", store), retry_pause_s=0.01)
    for job_id in ("job-1", "job-2"):
        await ends.record(job_id, control_pb2.JOB_STATE_TIMEOUT, common_pb2.ErrorInfo(reason="too_slow"))
    job = control_pb2.Job(job_id="job-2", state=control_pb2.JOB_STATE_RUNNING)
    assert ends.as_known(job).state == control_pb2.JOB_STATE_TIMEOUT
    store.is_full = False
    taken = [await asyncio.wait_for(store.taken.get(), 10) for _ in range(2)]
    assert taken == [(job_id, control_pb2.JOB_STATE_TIMEOUT, "too_slow") for job_id in ("job-1", "job-2")]
    await ends.stop()

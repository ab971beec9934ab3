"""A store that cannot take the end of a job: whoever waits hears of it, and the job can be resumed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from steelyard.control.job_world import JobWorld
from steelyard.control.jobs import Jobs
from steelyard.store.errors import StoreError
from steelyard_protocol.v1 import control_pb2


class FullStore:
    """Reads well and cannot write: a database on a full disk."""

    async def call(self, method: Any, *arguments: Any, **_: Any) -> Any:
        if method.__name__ == "transition":
            raise StoreError("disk_full", "the database is full: free space on its disk")
        return control_pb2.Job(job_id=arguments[0], state=control_pb2.JOB_STATE_RUNNING)


async def test_the_end_of_a_job_is_told_when_it_cannot_be_stored() -> None:
    jobs = Jobs(cast("JobWorld", SimpleNamespace(store=FullStore())))
    ended = await jobs.cancel("job-1")
    assert ended.state == control_pb2.JOB_STATE_CANCELLED
    assert ended.error.reason == "cancelled"


def test_a_job_that_the_store_has_in_full_is_left_alone() -> None:
    jobs = Jobs(cast("JobWorld", SimpleNamespace(store=FullStore())))
    job = control_pb2.Job(job_id="job-2", state=control_pb2.JOB_STATE_RECORDED)
    assert jobs.as_known(job) == control_pb2.Job(job_id="job-2", state=control_pb2.JOB_STATE_RECORDED)

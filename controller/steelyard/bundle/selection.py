"""Which measurements the words of a command mean: ids, first characters of ids, or the title that groups some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steelyard.errors import IncompleteError, NotFoundError, UsageError
from steelyard.job_states import FINAL_STATES
from steelyard_protocol.v1 import control_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client


def measurement_jobs(client: Client, names: Sequence[str]) -> list[control_pb2.Job]:
    """Return the finished measurements that ``names`` mean, each once, in the order of the names.

    Raises:
        UsageError: a name that no job has, or a job that is no measurement.
        IncompleteError: a job that is not finished.
    """
    found = {job.job_id: job for name in names for job in _named(client, name)}
    if not found:
        raise UsageError("no_job", "no job was named: `steelyard job list` shows them")
    for job in found.values():
        if job.kind != control_pb2.JOB_KIND_MEASUREMENT:
            raise UsageError("not_a_measurement", f"job {job.job_id[:12]} is not a measurement: it has no figures")
        if job.state not in FINAL_STATES:
            raise IncompleteError(
                "job_unfinished", f"job {job.job_id[:12]} is not finished: wait for its end, or cancel it"
            )
    return list(found.values())


def _named(client: Client, name: str) -> list[control_pb2.Job]:
    titled = [
        job
        for job in client.jobs()
        if job.title == name
        and job.kind == control_pb2.JOB_KIND_MEASUREMENT
        and job.state == control_pb2.JOB_STATE_RECORDED
    ]
    try:
        return titled or [client.job(name)]
    except NotFoundError as error:
        raise NotFoundError(
            "job_not_found",
            f"{name!r} is neither a job nor the title of a finished measurement: see `steelyard job list`",
        ) from error

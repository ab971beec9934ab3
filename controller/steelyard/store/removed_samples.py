"""Rows of jobs whose raw samples were removed. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from steelyard.job_states import FINAL_STATES
from steelyard.store import schema
from steelyard.store.names import require_digest
from steelyard_protocol.v1 import control_pb2

_TABLE = schema.removed_samples
_JOBS = schema.jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedSamples:
    """What is left of a measurement: the blob that holds its figures, and since when (ns since the epoch)."""

    measurement_digest: str
    removed_at_ns: int


def record(connection: Connection, job_id: str, measurement_digest: str, removed_at_ns: int) -> None:
    """Let go of what was recorded for the job with this whole id until now. Once for each job."""
    require_digest(measurement_digest, f"measurement of job {job_id!r}:")
    values = {"job_id": job_id, "measurement_digest": measurement_digest, "removed_at_ns": removed_at_ns}
    connection.execute(insert(_TABLE).values(**values))


def find(connection: Connection, job_id: str) -> RemovedSamples | None:
    """Return what is left of the job with this whole id; None while its samples are here."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.job_id == job_id)).one_or_none()
    if row is None:
        return None
    return RemovedSamples(measurement_digest=row.measurement_digest, removed_at_ns=row.removed_at_ns)


def removable(connection: Connection, finished_before_ns: int) -> list[control_pb2.Job]:
    """List measurements whose samples nobody needs: ended before a time, as have all those that extend them.

    Those that extend others come first, because their figures are computed from the others' samples, too.
    """
    gone = set(connection.scalars(select(_TABLE.c.job_id)))
    query = select(_JOBS.c.message, _JOBS.c.request).order_by(_JOBS.c.number.desc())
    query = query.where(_JOBS.c.kind == control_pb2.JOB_KIND_MEASUREMENT)
    found = []
    # An extension is younger than what it extends, so it is met first.
    needed: set[str] = set()
    for row in connection.execute(query):
        job = control_pb2.Job.FromString(row.message)
        if job.job_id in gone:
            continue
        ended = job.state in FINAL_STATES and job.finished_at.ToNanoseconds() < finished_before_ns
        if ended and job.job_id not in needed:
            found.append(job)
            continue
        needed.add(control_pb2.SubmitMeasurementRequest.FromString(row.request).extended_job_id)
    return found

"""Rows of jobs and of their events. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from steelyard.errors import NotFoundError, UsageError
from steelyard.job_states import FINAL_STATES
from steelyard.store import schema
from steelyard.store.names import LARGEST_INTEGER, MIN_PREFIX_LENGTH, near_names, require_identifier
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import common_pb2, control_pb2

_JOBS = schema.jobs
_EVENTS = schema.events


def create(
    connection: Connection, job: control_pb2.Job, request: bytes, request_id: str, clock_ns: Callable[[], int]
) -> tuple[control_pb2.Job, bool]:
    """Keep a new job, or return the one that this request made before; see ``Store.create_job``."""
    _check(job, request_id)
    known = connection.scalar(select(_JOBS.c.message).where(_JOBS.c.request_id == request_id))
    if known is not None:
        return _same_request(control_pb2.Job.FromString(known), job, request_id), False
    stored = control_pb2.Job()
    stored.CopyFrom(job)
    stored.state = job.state or control_pb2.JOB_STATE_QUEUED
    if not stored.HasField("created_at"):
        stored.created_at.FromNanoseconds(clock_ns())
    if connection.scalar(select(_JOBS.c.number).where(_JOBS.c.job_id == job.job_id)) is not None:
        raise UsageError("job_exists", f"job {job.job_id!r} was made by another request; give the job another id")
    columns = {"job_id": stored.job_id, "request_id": request_id, "kind": stored.kind, "state": stored.state}
    connection.execute(insert(_JOBS).values(**columns, message=stored.SerializeToString(), request=request))
    return stored, True


def resolve(connection: Connection, text: str) -> str:
    """Return the whole id of the job that ``text`` names.

    Raises:
        NotFoundError: ``job_not_found``.
        UsageError: ``ambiguous_job`` when several ids begin so.
    """
    if connection.scalar(select(_JOBS.c.number).where(_JOBS.c.job_id == text)) is not None:
        return text
    if len(text) >= MIN_PREFIX_LENGTH:
        begins = func.substr(_JOBS.c.job_id, 1, len(text)) == text
        fits = connection.scalars(select(_JOBS.c.job_id).where(begins).order_by(_JOBS.c.number).limit(4)).all()
        if len(fits) > 1:
            raise UsageError("ambiguous_job", f"{text!r} begins several jobs: {', '.join(fits[:3])}; give more of it")
        if fits:
            return str(fits[0])
    raise _not_found(connection, text)


def get(connection: Connection, job_id: str) -> control_pb2.Job:
    """Return the job with this whole id."""
    message = connection.scalar(select(_JOBS.c.message).where(_JOBS.c.job_id == job_id))
    if message is None:
        raise _not_found(connection, job_id)
    return control_pb2.Job.FromString(message)


def get_request(connection: Connection, job_id: str) -> bytes:
    """Return the request that made the job with this whole id."""
    return bytes(connection.execute(select(_JOBS.c.request).where(_JOBS.c.job_id == job_id)).scalar_one())


def extensions(connection: Connection, job_id: str) -> list[str]:
    """Return the ids of the measurements that extend the one with this whole id, the oldest first."""
    own = select(_JOBS.c.number).where(_JOBS.c.job_id == job_id).scalar_subquery()
    query = (
        select(_JOBS.c.job_id, _JOBS.c.message, _JOBS.c.request).where(_JOBS.c.number > own).order_by(_JOBS.c.number)
    )
    found = []
    for row in connection.execute(query):
        if control_pb2.Job.FromString(row.message).kind != control_pb2.JOB_KIND_MEASUREMENT:
            continue
        if control_pb2.SubmitMeasurementRequest.FromString(row.request).extended_job_id == job_id:
            found.append(str(row.job_id))
    return found


def page(connection: Connection, page_size: int, page_token: str) -> tuple[list[control_pb2.Job], str]:
    """List jobs, the newest first, without their steps and failed attempts: a page of those could outgrow a message."""
    query = select(_JOBS.c.number, _JOBS.c.message)
    rows, token = fetch_page(
        connection, query, _JOBS.c.number, page_size=page_size, page_token=page_token, newest_first=True
    )
    found = [control_pb2.Job.FromString(row["message"]) for row in rows]
    for job in found:
        job.ClearField("steps")
        job.ClearField("failed_attempts")
    return found, token


def unfinished(connection: Connection) -> list[control_pb2.Job]:
    """List the jobs in no final state, the oldest first."""
    query = select(_JOBS.c.message).where(_JOBS.c.state.not_in(sorted(FINAL_STATES))).order_by(_JOBS.c.number)
    return [control_pb2.Job.FromString(message) for message in connection.scalars(query)]


def transition(
    connection: Connection,
    job_id: str,
    state: control_pb2.JobState.ValueType,
    *,
    event: control_pb2.JobEvent,
    error: common_pb2.ErrorInfo | None,
    variant_digest: str,
    steps: Sequence[control_pb2.LineageStep],
    attempt: int | None,
    failed_attempt: control_pb2.FailedAttempt | None,
) -> control_pb2.JobEvent | None:
    """Set the state and append ``event``; see ``Store.transition``."""
    if state not in control_pb2.JobState.values() or state == control_pb2.JOB_STATE_UNSPECIFIED:
        raise UsageError("invalid_job_state", f"job {job_id!r} cannot go into state {state}; name one of the states")
    job = get(connection, job_id)
    if job.state in FINAL_STATES:
        return None
    job.state = state
    job.ClearField("error")
    if error is not None:
        job.error.CopyFrom(error)
    if variant_digest:
        job.variant_digest = variant_digest
    if steps:
        del job.steps[:]
        job.steps.extend(steps)
    if attempt is not None:
        job.attempt = attempt
    if failed_attempt is not None:
        job.failed_attempts.append(failed_attempt)
        job.failed_attempts[-1].at.CopyFrom(event.at)
    if state in FINAL_STATES:
        job.finished_at.CopyFrom(event.at)
    change = update(_JOBS).where(_JOBS.c.job_id == job_id)
    connection.execute(change.values(state=state, message=job.SerializeToString()))
    return _append(connection, job, event)


def append_event(connection: Connection, job_id: str, event: control_pb2.JobEvent) -> control_pb2.JobEvent | None:
    """Append a line to the log of an unfinished job; see ``Store.append_event``."""
    job = get(connection, job_id)
    return None if job.state in FINAL_STATES else _append(connection, job, event)


def list_events(connection: Connection, job_id: str, after_cursor: int, limit: int) -> list[control_pb2.JobEvent]:
    """Return the events of the job with this whole id after a cursor, the oldest first."""
    mine = (_EVENTS.c.job_id == job_id) & (_EVENTS.c.cursor > min(after_cursor, LARGEST_INTEGER))
    rows = connection.execute(select(_EVENTS).where(mine).order_by(_EVENTS.c.cursor).limit(limit)).mappings()
    return [_event(row) for row in rows]


def _check(job: control_pb2.Job, request_id: str) -> None:
    require_identifier(job.job_id, "job id")
    require_identifier(request_id, "request id")
    if job.kind == control_pb2.JOB_KIND_UNSPECIFIED:
        raise UsageError("invalid_job", f"job {job.job_id!r} has no kind; say compression or measurement")
    if job.state in FINAL_STATES:
        raise UsageError("invalid_job", f"job {job.job_id!r} would begin in a final state ({job.state})")


def _same_request(known: control_pb2.Job, job: control_pb2.Job, request_id: str) -> control_pb2.Job:
    if known.kind != job.kind:
        raise UsageError(
            "request_id_reused",
            f"request id {request_id!r} already made job {known.job_id} of another kind; use a new id",
        )
    return known


def _append(connection: Connection, job: control_pb2.Job, event: control_pb2.JobEvent) -> control_pb2.JobEvent:
    values = {"at_ns": event.at.ToNanoseconds(), "message": event.message, "done": event.done, "total": event.total}
    result = connection.execute(insert(_EVENTS).values(job_id=job.job_id, state=job.state, **values))
    stored = control_pb2.JobEvent()
    stored.CopyFrom(event)
    stored.state = job.state
    assert result.inserted_primary_key is not None
    stored.cursor = result.inserted_primary_key.cursor
    return stored


def _event(row: RowMapping) -> control_pb2.JobEvent:
    event = control_pb2.JobEvent(
        cursor=row["cursor"], state=row["state"], message=row["message"], done=row["done"], total=row["total"]
    )
    event.at.FromNanoseconds(row["at_ns"])
    return event


def _not_found(connection: Connection, text: str) -> NotFoundError:
    ids = connection.scalars(select(_JOBS.c.job_id).order_by(_JOBS.c.number.desc()).limit(1000)).all()
    return NotFoundError(
        "job_not_found", f"no job has the id {text[:80]!r}{near_names(text, ids) or '; see `steelyard job list`'}"
    )

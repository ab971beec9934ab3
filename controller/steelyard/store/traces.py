"""Rows of meter traces. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from steelyard.store import schema
from steelyard.store.names import require_digest
from steelyard_protocol.v1 import control_pb2

_TABLE = schema.traces


def record(connection: Connection, job_id: str, meter: str, trace_digest: str, recorded_at_ns: int) -> None:
    """Keep where a trace lies; see ``Store.record_trace``."""
    require_digest(trace_digest, f"trace of meter {meter!r} of job {job_id!r}:")
    values = {"job_id": job_id, "meter": meter, "trace_digest": trace_digest, "recorded_at_ns": recorded_at_ns}
    connection.execute(insert(_TABLE).values(**values))


def references(connection: Connection, job_id: str) -> list[control_pb2.MeterTraceReference]:
    """List the traces of the job with this whole id, the oldest first."""
    rows = connection.execute(select(_TABLE).where(_TABLE.c.job_id == job_id).order_by(_TABLE.c.number))
    return [control_pb2.MeterTraceReference(meter=row.meter, trace_digest=row.trace_digest) for row in rows]

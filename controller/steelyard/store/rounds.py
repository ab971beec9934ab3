"""Rows of recorded rounds. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from steelyard.errors import UsageError
from steelyard.store import schema
from steelyard.store.names import require_digest
from steelyard_protocol.v1 import control_pb2, result_pb2

_TABLE = schema.rounds


def record(
    connection: Connection, key: result_pb2.ResultKey, *, segment: int, result_digest: str, recorded_at_ns: int
) -> bool:
    """Record a round once; see ``Store.record_round``."""
    if key.pass_kind == result_pb2.PASS_UNSPECIFIED:
        raise UsageError("invalid_round", f"round {key.round_index} of job {key.job_id!r} does not say of which pass")
    require_digest(result_digest, f"result of round {key.round_index} of job {key.job_id!r}:")
    columns = {
        "job_id": key.job_id,
        "attempt": key.attempt,
        "pass_kind": key.pass_kind,
        "round_index": key.round_index,
    }
    if connection.scalar(select(_TABLE.c.number).filter_by(**columns)) is not None:
        return False
    values = {**columns, "segment": segment, "result_digest": result_digest, "recorded_at_ns": recorded_at_ns}
    connection.execute(insert(_TABLE).values(**values))
    return True


def references(connection: Connection, job_id: str) -> list[control_pb2.RoundReference]:
    """List what was recorded for the job with this whole id, by attempt, pass and round."""
    order = (_TABLE.c.attempt, _TABLE.c.pass_kind, _TABLE.c.round_index)
    rows = connection.execute(select(_TABLE).where(_TABLE.c.job_id == job_id).order_by(*order))
    return [
        control_pb2.RoundReference(
            key=result_pb2.ResultKey(
                job_id=row.job_id, attempt=row.attempt, pass_kind=row.pass_kind, round_index=row.round_index
            ),
            result_digest=row.result_digest,
            segment=row.segment,
        )
        for row in rows
    ]

"""Rows of what models scored on the controller. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from steelyard.store import schema
from steelyard.store.names import require_digest
from steelyard_protocol.v1 import control_pb2

_TABLE = schema.host_scores


def record(connection: Connection, key: str, score: control_pb2.StepEvaluation, recorded_at_ns: int) -> None:
    """Keep a score; see ``Store.record_score``."""
    require_digest(key, "key of a score:")
    connection.execute(delete(_TABLE).where(_TABLE.c.key == key))
    connection.execute(insert(_TABLE).values(key=key, message=score.SerializeToString(), recorded_at_ns=recorded_at_ns))


def find(connection: Connection, key: str) -> control_pb2.StepEvaluation | None:
    """Return the score of this key, None where there is none."""
    message = connection.scalar(select(_TABLE.c.message).where(_TABLE.c.key == key))
    return None if message is None else control_pb2.StepEvaluation.FromString(message)

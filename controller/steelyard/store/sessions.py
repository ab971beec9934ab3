"""Rows of what sessions left behind. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, insert, select

from steelyard.store import schema
from steelyard.store.device_rules import predecessors
from steelyard_protocol.v1 import control_pb2

_TABLE = schema.session_figures
# Four figures a model of a session: some hundred sessions. Older ones tell of a device that was updated since.
_MOST_ROWS = 800


def record(
    connection: Connection, device_id: str, sessions: Sequence[control_pb2.PastSession], recorded_at_ns: int
) -> None:
    """Keep the figures of a session; see ``Store.record_sessions``."""
    for one in sessions:
        same = {"job_id": one.job_id, "series": one.series, "figure": one.figure}
        connection.execute(delete(_TABLE).where(*(_TABLE.c[name] == value for name, value in same.items())))
        connection.execute(
            insert(_TABLE).values(**same, device_id=device_id, value_ns=one.value_ns, recorded_at_ns=recorded_at_ns)
        )


def find(
    connection: Connection, device_id: str, before_ns: int, excluded_job_ids: Collection[str]
) -> list[control_pb2.PastSession]:
    """List figures of earlier sessions of a device, the oldest first; see ``Store.past_sessions``."""
    replaced = predecessors(connection, device_id, before_ns)
    generations = {device_id: 0, **{one.old_device_id: number for number, one in enumerate(replaced, 1)}}
    query = (
        select(_TABLE)
        .where(
            _TABLE.c.device_id.in_(list(generations)),
            _TABLE.c.recorded_at_ns < before_ns,
            _TABLE.c.job_id.not_in(list(excluded_job_ids)),
        )
        .order_by(_TABLE.c.number.desc())
        .limit(_MOST_ROWS)
    )
    rows = connection.execute(query).all()
    return [
        control_pb2.PastSession(
            job_id=row.job_id,
            series=row.series,
            figure=row.figure,
            value_ns=row.value_ns,
            generation=generations[row.device_id],
        )
        for row in reversed(rows)
    ]

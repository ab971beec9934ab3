"""Rows of finished steps. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from steelyard.store import schema
from steelyard.store.names import require_digest
from steelyard_protocol.v1 import control_pb2

_TABLE = schema.finished_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """A step that was run: its keys (with and without the tools), the tools, and what lineage says of it."""

    key: str
    loose_key: str
    tools: str
    message: control_pb2.LineageStep

    def __post_init__(self) -> None:
        """Refuse what is no digest."""
        require_digest(self.key, "key of a step:")
        require_digest(self.loose_key, "key of a step:")
        require_digest(self.message.output_digest, "output of a step:")


def record(connection: Connection, one: StepRecord, recorded_at_ns: int) -> None:
    """Keep a step; see ``Store.record_step``."""
    connection.execute(delete(_TABLE).where(_TABLE.c.key == one.key))
    connection.execute(
        insert(_TABLE).values(
            key=one.key,
            loose_key=one.loose_key,
            output_digest=one.message.output_digest,
            tools=one.tools,
            message=one.message.SerializeToString(),
            recorded_at_ns=recorded_at_ns,
        )
    )


def find(connection: Connection, key: str) -> StepRecord | None:
    """Return the step of this key, None where it was never run."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.key == key)).one_or_none()
    return None if row is None else _record(row)


def alike(connection: Connection, loose_key: str) -> list[StepRecord]:
    """List the steps that differ in their tools alone, the newest first."""
    rows = connection.execute(select(_TABLE).where(_TABLE.c.loose_key == loose_key).order_by(_TABLE.c.number.desc()))
    return [_record(row) for row in rows]


def _record(row: object) -> StepRecord:
    fields = row._mapping  # type: ignore[attr-defined]  # noqa: SLF001  SQLAlchemy's public name for it
    return StepRecord(
        key=fields["key"],
        loose_key=fields["loose_key"],
        tools=fields["tools"],
        message=control_pb2.LineageStep.FromString(fields["message"]),
    )

"""Rows of nights. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, select

from steelyard.errors import IncompleteError, NotFoundError, UsageError
from steelyard.store.names import near_names
from steelyard.store.nightly_schema import night_suites, nights
from steelyard_protocol.v1 import nightly_pb2

COLUMNS = tuple(nights.c)
_TIMES = ("started_at", "ended_at", "begun_at", "closed_at", "held_until")
_TEXTS = ("night_id", "suite_name", "suite_digest", "verdict", "report_digest", "runner", "reason")


def by_id(connection: Connection, night_id: str) -> RowMapping:
    """Return the night with this id.

    Raises:
        NotFoundError: ``night_not_found``.
    """
    row = _first(connection, nights.c.night_id == night_id)
    if row is None:
        raise NotFoundError("night_not_found", f"no night has the id {night_id[:80]!r}; see `steelyard nightly list`")
    return row


def running(connection: Connection, night_id: str) -> RowMapping:
    """Return the night with this id, which must not be over.

    Raises:
        NotFoundError: ``night_not_found``.
        UsageError: ``night_over``.
    """
    row = by_id(connection, night_id)
    if row["state"] != nightly_pb2.NIGHT_STATE_RUNNING:
        raise UsageError("night_over", f"night {row['night_number']} of suite {row['suite_name']!r} is over")
    return row


def last(connection: Connection, suite_name: str, *conditions: ColumnElement[bool]) -> RowMapping | None:
    """Return the suite's last night that fits, None where none does."""
    return _first(connection, nights.c.suite_name == suite_name, *conditions)


def by_number(connection: Connection, suite_name: str, night_number: int) -> RowMapping:
    """Return a night of a suite; number 0: the last one that ended.

    Raises:
        NotFoundError: ``suite_not_found`` or ``night_not_found``.
    """
    newest = last(connection, suite_name)
    if newest is None:
        names = connection.scalars(select(nights.c.suite_name).distinct()).all()
        hint = near_names(suite_name, names) or "; `steelyard nightly run` begins one"
        raise NotFoundError("suite_not_found", f"suite {suite_name[:80]!r} has no nights{hint}")
    wanted = nights.c.night_number == night_number if night_number else ended()
    found = last(connection, suite_name, wanted)
    if found is None and night_number:
        raise NotFoundError(
            "night_not_found",
            f"suite {suite_name!r} has no night {night_number}; its last one is {newest['night_number']}",
        )
    if found is None:
        raise NotFoundError("night_not_found", f"no night of suite {suite_name!r} has ended yet")
    return found


def ended() -> ColumnElement[bool]:
    """Return the condition of nights that ended."""
    return nights.c.state == nightly_pb2.NIGHT_STATE_ENDED


def require_runner(row: RowMapping, runner: str, now_ns: int) -> None:
    """Let pass whoever may run a night: its runner, or anybody once that one let it go.

    Raises:
        IncompleteError: ``night_running``.
    """
    if row["runner"] not in {"", runner} and row["held_until_ns"] > now_ns:
        left_s = (row["held_until_ns"] - now_ns) / 1e9
        raise IncompleteError(
            "night_running",
            f"night {row['night_number']} of suite {row['suite_name']!r} is being run by {row['runner']}; wait for its "
            f"end, or {left_s:.0f} s after it was killed",
        )


def night_of(row: RowMapping) -> nightly_pb2.Night:
    """Return a night as it is told, without its suite's text."""
    night = nightly_pb2.Night(
        night_number=row["night_number"], state=row["state"], exit_code=row["exit_code"], **_texts_of(row)
    )
    for name in _TIMES:
        if row[f"{name}_ns"]:
            getattr(night, name).FromNanoseconds(row[f"{name}_ns"])
    return night


def whole_night(connection: Connection, row: RowMapping) -> nightly_pb2.Night:
    """Return a night with its suite's text."""
    night = night_of(row)
    query = select(night_suites.c.text).where(night_suites.c.digest == row["suite_digest"])
    night.suite_text = connection.execute(query).scalar_one()
    return night


def _texts_of(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in _TEXTS}


def _first(connection: Connection, *conditions: ColumnElement[bool]) -> RowMapping | None:
    query = select(*COLUMNS).where(*conditions).order_by(nights.c.night_number.desc()).limit(1)
    return connection.execute(query).mappings().first()

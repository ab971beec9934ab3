"""Silences, as triage makes them; each method is one transaction. Reached as ``Store.nightly.silences``."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping, insert, select, update

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.database import Database
from steelyard.store.kept_values import require_json, require_text, require_time
from steelyard.store.names import require_identifier
from steelyard.store.nightly_schema import silences
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import nightly_pb2

_MAX_CHARACTERS = 200
_MAX_REASON_CHARACTERS = 1000


class Silences:
    """Synchronous, for the store's thread."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    def create(self, silence: nightly_pb2.Silence) -> nightly_pb2.Silence:
        """Keep a silence; the same again gives the one that is there.

        Raises:
            UsageError: ``silence_exists``, ``invalid_time``, or what is wrong with a text.
        """
        values = {
            "silence_id": require_identifier(silence.silence_id, "id of a silence"),
            "expires_at_ns": require_time(silence.expires_at, "end of a silence"),
            "json": require_json(silence.json, "a silence"),
            "created_by": require_text(silence.created_by, "name of who makes a silence", most=_MAX_CHARACTERS),
        }
        with self._database.write() as connection:
            row = _row(connection, silence.silence_id)
            if row is None:
                fresh = {"ended_at_ns": None, "ended_by": "", "ended_because": "", "version": 1}
                connection.execute(insert(silences).values(**values, **fresh, created_at_ns=self._clock_ns()))
            elif any(row[name] != value for name, value in values.items()):
                raise UsageError("silence_exists", f"silence {silence.silence_id!r} is another one; choose another id")
            return _message(_found(connection, silence.silence_id))

    def page(
        self, *, active_only: bool, page_size: int = 0, page_token: str = ""
    ) -> tuple[list[nightly_pb2.Silence], str]:
        """List silences, the newest first, with the token of the next page; those that hold now, or all.

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        query = select(silences)
        if active_only:
            query = query.where(silences.c.ended_at_ns.is_(None), silences.c.expires_at_ns > self._clock_ns())
        with self._database.read() as connection:
            rows, token = fetch_page(
                connection, query, silences.c.number, page_size=page_size, page_token=page_token, newest_first=True
            )
        return [_message(row) for row in rows], token

    def end(self, silence_id: str, who: str, reason: str, json: str = "") -> nightly_pb2.Silence:
        """End a silence; one that was ended stays as it is. ``json`` is what it is afterwards, "" what it was.

        Raises:
            NotFoundError: ``silence_not_found``.
            UsageError: What is wrong with a text.
        """
        require_text(who, "name of who ends a silence", most=_MAX_CHARACTERS)
        require_text(reason, "reason", most=_MAX_REASON_CHARACTERS)
        if json:
            require_json(json, "a silence")
        with self._database.write() as connection:
            row = _found(connection, silence_id)
            if row["ended_at_ns"] is None:
                values = {"ended_at_ns": self._clock_ns(), "ended_by": who, "ended_because": reason}
                changed = {**values, "json": json or row["json"], "version": row["version"] + 1}
                connection.execute(update(silences).where(silences.c.number == row["number"]).values(**changed))
            return _message(_found(connection, silence_id))


def _row(connection: Connection, silence_id: str) -> RowMapping | None:
    return connection.execute(select(silences).where(silences.c.silence_id == silence_id)).mappings().first()


def _found(connection: Connection, silence_id: str) -> RowMapping:
    row = _row(connection, silence_id)
    if row is None:
        raise NotFoundError(
            "silence_not_found", f"no silence has the id {silence_id[:80]!r}; `steelyard alerts list` shows them"
        )
    return row


def _message(row: RowMapping) -> nightly_pb2.Silence:
    names = ("silence_id", "json", "created_by", "ended_by", "ended_because", "version")
    silence = nightly_pb2.Silence(**{name: row[name] for name in names})
    silence.expires_at.FromNanoseconds(row["expires_at_ns"])
    silence.created_at.FromNanoseconds(row["created_at_ns"])
    if row["ended_at_ns"] is not None:
        silence.ended_at.FromNanoseconds(row["ended_at_ns"])
    return silence

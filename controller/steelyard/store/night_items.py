"""Notes by which an interrupted night goes on; each method is one transaction. Reached as ``Store.nightly.items``."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, select, update

from steelyard.store import night_rows
from steelyard.store.database import Database
from steelyard.store.kept_values import require_json, require_text
from steelyard.store.names import require_identifier
from steelyard.store.nightly_schema import night_items, nights
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import nightly_pb2

# Notes of nights before these are of no use: what they led to is in the night's report.
KEPT_NIGHTS = 90
_MAX_KEY_CHARACTERS = 1000


class NightItems:
    """Synchronous, for the store's thread."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    def put(self, night_id: str, item: nightly_pb2.NightItem) -> None:
        """Keep a note; one of the same kind and key is replaced. Also after the night's end: a digest was sent.

        Raises:
            NotFoundError: ``night_not_found``.
            UsageError: ``invalid_identifier``, ``invalid_text`` or ``invalid_json``.
        """
        kind = require_identifier(item.kind, "kind of a note")
        key = require_text(item.key, "key of a note", most=_MAX_KEY_CHARACTERS)
        values = {"json": require_json(item.json, f"the note {kind} {key[:80]!r}"), "at_ns": self._clock_ns()}
        with self._database.write() as connection:
            same = {"night": night_rows.by_id(connection, night_id)["number"], "kind": kind, "key": key}
            mine = [night_items.c[name] == value for name, value in same.items()]
            if connection.execute(update(night_items).where(*mine).values(**values)).rowcount == 0:
                connection.execute(insert(night_items).values(**same, **values))

    def page(
        self, night_id: str, kind: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[nightly_pb2.NightItem], str]:
        """List a night's notes of a kind, of every one for "", in the order in which they were first put.

        Raises:
            NotFoundError: ``night_not_found``.
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        with self._database.read() as connection:
            night = night_rows.by_id(connection, night_id)["number"]
            query = select(night_items).where(night_items.c.night == night)
            query = query.where(night_items.c.kind == kind) if kind else query
            rows, token = fetch_page(
                connection, query, night_items.c.number, page_size=page_size, page_token=page_token, newest_first=False
            )
        found = []
        for row in rows:
            item = nightly_pb2.NightItem(kind=row["kind"], key=row["key"], json=row["json"])
            item.at.FromNanoseconds(row["at_ns"])
            found.append(item)
        return found, token


def drop_old(connection: Connection, suite_name: str) -> None:
    """Remove the notes of a suite's nights before its last ``KEPT_NIGHTS``."""
    mine = nights.c.suite_name == suite_name
    kept = select(nights.c.number).where(mine).order_by(nights.c.number.desc()).limit(1).offset(KEPT_NIGHTS - 1)
    oldest = connection.scalar(kept)
    if oldest is not None:
        before = select(nights.c.number).where(mine, nights.c.number < oldest)
        connection.execute(delete(night_items).where(night_items.c.night.in_(before)))

"""Nights of suites; each method is one transaction. Reached as ``Store.nightly.nights``."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from steelyard.errors import UsageError
from steelyard.store import night_items, night_rows
from steelyard.store.database import Database
from steelyard.store.kept_values import require_count, require_text, require_time
from steelyard.store.names import require_digest, require_identifier, require_name
from steelyard.store.nightly_schema import night_suites, nights
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import nightly_pb2

_RUNNING = nightly_pb2.NIGHT_STATE_RUNNING
_ENDED = nightly_pb2.NIGHT_STATE_ENDED
_ABANDONED = nightly_pb2.NIGHT_STATE_ABANDONED
MAX_HOLD_MS = 15 * 60 * 1000
# A suite of thousands of cells is written by patterns; this is what a message of the protocol may hold.
_MAX_SUITE_CHARACTERS = 500_000
_MAX_REASON_CHARACTERS = 1000
_INCOMPLETE = "INCOMPLETE"


class Nights:
    """Synchronous, for the store's thread."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    def begin(self, request: nightly_pb2.BeginNightRequest) -> nightly_pb2.BeginNightResponse:
        """Begin the suite's next night, or give back the one that is not over.

        Raises:
            UsageError: ``invalid_identifier``, ``invalid_name``, ``invalid_digest``, ``invalid_text``,
                ``invalid_time``, ``invalid_hold`` or ``request_id_reused``.
            IncompleteError: ``night_running``: another runner holds it.
        """
        values = _checked(request)
        now_ns = self._clock_ns()
        with self._database.write() as connection:
            row, resumed = _known(connection, request)
            if row is None:
                row = _insert(connection, values, request.suite_text, now_ns)
            if row["state"] == _RUNNING:
                row = _hold(connection, row, request.runner, request.hold_ms, now_ns)
            response = nightly_pb2.BeginNightResponse(night=night_rows.whole_night(connection, row), resumed=resumed)
            earlier = nights.c.night_number < row["night_number"]
            previous = night_rows.last(connection, row["suite_name"], night_rows.ended(), earlier)
            if previous is not None:
                response.previous.CopyFrom(night_rows.night_of(previous))
            return response

    def renew(self, night_id: str, runner: str, hold_ms: int) -> nightly_pb2.Night:
        """Let a night's runner hold it for another while.

        Raises:
            NotFoundError: ``night_not_found``.
            UsageError: ``night_over`` or ``invalid_hold``.
            IncompleteError: ``night_running``: another runner holds it.
        """
        _require_hold(hold_ms)
        require_text(runner, "name of a runner", most=200)
        with self._database.write() as connection:
            row = night_rows.running(connection, night_id)
            return night_rows.night_of(_hold(connection, row, runner, hold_ms, self._clock_ns()))

    def get(self, night_id: str, suite_name: str = "", night_number: int = 0) -> nightly_pb2.Night:
        """Return a night by its id, or a suite's by its number; number 0: the last one that ended.

        Raises:
            NotFoundError: ``night_not_found`` or ``suite_not_found``.
        """
        with self._database.read() as connection:
            if night_id:
                row = night_rows.by_id(connection, night_id)
            else:
                row = night_rows.by_number(connection, suite_name, night_number)
            return night_rows.whole_night(connection, row)

    def page(
        self, suite_name: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[nightly_pb2.Night], str]:
        """List nights, the newest first, with the token of the next page.

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        query = select(*night_rows.COLUMNS)
        query = query.where(nights.c.suite_name == suite_name) if suite_name else query
        with self._database.read() as connection:
            rows, token = fetch_page(
                connection, query, nights.c.number, page_size=page_size, page_token=page_token, newest_first=True
            )
        return [night_rows.night_of(row) for row in rows], token

    def latest(self, suite_name: str = "") -> nightly_pb2.ListLatestNightsResponse:
        """Return the last nights of a suite, of each one for "", and what time it is here."""
        response = nightly_pb2.ListLatestNightsResponse()
        response.now.FromNanoseconds(self._clock_ns())
        wanted = {
            "ended": (night_rows.ended(),),
            "complete": (night_rows.ended(), nights.c.verdict != _INCOMPLETE),
            "running": (nights.c.state == _RUNNING,),
        }
        with self._database.read() as connection:
            names = select(nights.c.suite_name).distinct().order_by(nights.c.suite_name)
            for name in [suite_name] if suite_name else connection.scalars(names).all():
                told = {
                    field: night_rows.night_of(row)
                    for field, conditions in wanted.items()
                    if (row := night_rows.last(connection, name, *conditions)) is not None
                }
                if told:
                    response.suites.add(suite_name=name, **told)
        return response

    def end(self, request: nightly_pb2.EndNightRequest) -> nightly_pb2.Night:
        """End a night; the same again changes nothing. Notes of the suite's nights long ago go.

        Raises:
            NotFoundError: ``night_not_found``.
            UsageError: ``night_over``, ``invalid_identifier``, ``invalid_digest``, ``invalid_number`` or
                ``invalid_time``.
        """
        values = {
            "verdict": require_identifier(request.verdict, "verdict of a night"),
            "exit_code": require_count(request.exit_code, "exit code"),
            "report_digest": require_digest(request.report_digest, "report of a night:"),
            "ended_at_ns": require_time(request.ended_at, "end of a night"),
        }
        return self._close(request.night_id, _ENDED, values)

    def abandon(self, night_id: str, reason: str) -> nightly_pb2.Night:
        """End a night that will not be gone on with; the same again changes nothing.

        Raises:
            NotFoundError: ``night_not_found``.
            UsageError: ``night_over`` or ``invalid_text``.
        """
        require_text(reason, "reason of an abandoned night", least=1, most=_MAX_REASON_CHARACTERS)
        return self._close(night_id, _ABANDONED, {"reason": reason})

    def _close(
        self, night_id: str, state: nightly_pb2.NightState.ValueType, values: dict[str, Any]
    ) -> nightly_pb2.Night:
        with self._database.write() as connection:
            row = night_rows.by_id(connection, night_id)
            if row["state"] != state or any(row[name] != value for name, value in values.items()):
                row = night_rows.running(connection, night_id)
                values = {**values, "state": state, "closed_at_ns": self._clock_ns(), "held_until_ns": 0}
                row = _update(connection, row, values)
                night_items.drop_old(connection, row["suite_name"])
            return night_rows.night_of(row)


def _checked(request: nightly_pb2.BeginNightRequest) -> dict[str, Any]:
    _require_hold(request.hold_ms)
    require_text(request.suite_text, "text of a suite", most=_MAX_SUITE_CHARACTERS)
    require_text(request.runner, "name of a runner", most=200)
    return {
        "request_id": require_identifier(request.request_id, "request id"),
        "suite_name": require_name(request.suite_name, "name of a suite:"),
        "suite_digest": require_digest(request.suite_digest, "digest of a suite:"),
        "started_at_ns": require_time(request.started_at, "start of a night"),
    }


def _require_hold(hold_ms: int) -> None:
    if not 0 <= hold_ms <= MAX_HOLD_MS:
        raise UsageError("invalid_hold", f"a night is not held for {hold_ms} ms, but for 0 to {MAX_HOLD_MS} at a time")


def _known(connection: Connection, request: nightly_pb2.BeginNightRequest) -> tuple[RowMapping | None, bool]:
    """Return the night of the same request, else the one that is not over; whether another request began it."""
    query = select(*night_rows.COLUMNS).where(nights.c.request_id == request.request_id)
    same = connection.execute(query).mappings().first()
    if same is None:
        row = night_rows.last(connection, request.suite_name, nights.c.state == _RUNNING)
        return row, row is not None
    if same["suite_name"] != request.suite_name:
        raise UsageError(
            "request_id_reused",
            f"request {request.request_id!r} began a night of suite {same['suite_name']!r}; give each its own id",
        )
    return same, False


def _insert(connection: Connection, values: dict[str, Any], suite_text: str, now_ns: int) -> RowMapping:
    digest = values["suite_digest"]
    if connection.scalar(select(night_suites.c.digest).where(night_suites.c.digest == digest)) is None:
        connection.execute(insert(night_suites).values(digest=digest, text=suite_text))
    before = night_rows.last(connection, values["suite_name"])
    night_id = uuid.uuid4().hex
    connection.execute(
        insert(nights).values(
            **values,
            night_id=night_id,
            night_number=before["night_number"] + 1 if before is not None else 1,
            state=_RUNNING,
            ended_at_ns=0,
            begun_at_ns=now_ns,
            closed_at_ns=0,
            verdict="",
            exit_code=0,
            report_digest="",
            runner="",
            held_until_ns=0,
            reason="",
        )
    )
    return night_rows.by_id(connection, night_id)


def _hold(connection: Connection, row: RowMapping, runner: str, hold_ms: int, now_ns: int) -> RowMapping:
    night_rows.require_runner(row, runner, now_ns)
    held_until_ns = now_ns + hold_ms * 1_000_000 if runner and hold_ms else 0
    return _update(connection, row, {"runner": runner, "held_until_ns": held_until_ns})


def _update(connection: Connection, row: RowMapping, values: dict[str, Any]) -> RowMapping:
    connection.execute(update(nights).where(nights.c.number == row["number"]).values(**values))
    return night_rows.by_id(connection, row["night_id"])

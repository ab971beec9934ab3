"""Alerts, as triage makes them; each method is one transaction. Reached as ``Store.nightly.alerts``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from steelyard.errors import NotFoundError, UsageError
from steelyard.store import night_rows, series_rows
from steelyard.store.database import Database
from steelyard.store.kept_values import require_count, require_json, require_text
from steelyard.store.names import MIN_PREFIX_LENGTH, require_identifier, require_name
from steelyard.store.nightly_schema import alerts
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import nightly_pb2

MAX_ALERTS = 1000
MAX_ACCEPTED = 1000
_FILTERS = ("suite_name", "model", "device_id", "runtime", "metric")
_MAX_CHARACTERS = 200
_MAX_REASON_CHARACTERS = 1000


class Alerts:
    """Synchronous, for the store's thread. ``changed_by`` of an alert that comes in is who changes it."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    def get(self, text: str) -> nightly_pb2.Alert:
        """Return an alert by its id, or by the first 4 or more characters of one.

        Raises:
            NotFoundError: ``alert_not_found``.
            UsageError: ``ambiguous_alert``.
        """
        with self._database.read() as connection:
            return _message(_resolved(connection, text))

    def page(self, request: nightly_pb2.ListAlertsRequest) -> tuple[list[nightly_pb2.Alert], str]:
        """List the alerts that fit, the newest first, with the token of the next page.

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        query = select(alerts)
        for name in _FILTERS:
            value = getattr(request, name)
            query = query.where(alerts.c[name] == value) if value else query
        query = query.where(alerts.c.state.in_(list(request.states))) if request.states else query
        query = query.where(alerts.c.is_open == 1) if request.open_only else query
        with self._database.read() as connection:
            rows, token = fetch_page(
                connection,
                query,
                alerts.c.number,
                page_size=request.page_size,
                page_token=request.page_token,
                newest_first=True,
            )
        return [_message(row) for row in rows], token

    def put(self, night_id: str, given: Sequence[nightly_pb2.Alert]) -> list[nightly_pb2.Alert]:
        """Keep what a night made of its alerts, all or none; the same again changes nothing.

        Raises:
            NotFoundError: ``night_not_found`` or ``alert_not_found``.
            UsageError: ``alert_changed``, ``invalid_alert``, or what is wrong with a text or number.
        """
        if len(given) > MAX_ALERTS:
            raise UsageError("invalid_alert", f"{len(given)} alerts at once are more than {MAX_ALERTS}")
        with self._database.write() as connection:
            suite_name = night_rows.by_id(connection, night_id)["suite_name"]
            for one in given:
                if one.suite_name != suite_name:
                    raise UsageError(
                        "invalid_alert",
                        f"alert {one.alert_id[:80]!r} is of suite {one.suite_name[:80]!r}, the night of {suite_name!r}",
                    )
            return [_put(connection, one, self._clock_ns()) for one in given]

    def change(self, alert: nightly_pb2.Alert) -> nightly_pb2.Alert:
        """Keep what somebody made of an alert; the same again changes nothing.

        Raises:
            NotFoundError: ``alert_not_found``.
            UsageError: ``alert_changed``, or what is wrong with a text or number.
        """
        with self._database.write() as connection:
            return _put(connection, alert, self._clock_ns())

    def accept(self, request: nightly_pb2.AcceptChangeRequest) -> nightly_pb2.AcceptChangeResponse:
        """Make a night the first of the series' new level, and change the alert with it; the same changes nothing.

        Raises:
            NotFoundError: ``series_not_found`` or ``alert_not_found``.
            UsageError: ``alert_changed``, or what is wrong with a text or number.
        """
        if not 1 <= len(request.series_ids) <= MAX_ACCEPTED:
            raise UsageError(
                "invalid_series",
                f"name 1 to {MAX_ACCEPTED} series whose change is accepted, not {len(request.series_ids)}",
            )
        require_count(request.night_number, "first night of the new level:", least=1)
        who = require_text(request.who, "name of who accepts", least=1, most=_MAX_CHARACTERS)
        reason = require_text(request.reason, "reason", least=1, most=_MAX_REASON_CHARACTERS)
        numbers, now_ns = sorted(set(request.series_ids)), self._clock_ns()
        response = nightly_pb2.AcceptChangeResponse()
        with self._database.write() as connection:
            series_rows.accept(connection, numbers, request.night_number, who, reason, now_ns)
            if request.HasField("alert"):
                response.alert.CopyFrom(_put(connection, request.alert, now_ns))
            response.series.extend(series_rows.messages_of(connection, series_rows.by_numbers(connection, numbers)))
        return response


def _put(connection: Connection, alert: nightly_pb2.Alert, now_ns: int) -> nightly_pb2.Alert:
    values = _checked(alert)
    row = connection.execute(select(alerts).where(alerts.c.alert_id == alert.alert_id)).mappings().first()
    if row is None and alert.version:
        raise _not_found(alert.alert_id)
    change = {"changed_at_ns": now_ns, "changed_by": alert.changed_by}
    if row is None:
        connection.execute(insert(alerts).values(**values, **change, version=1))
    elif any(row[name] != value for name, value in values.items()):
        if row["version"] != alert.version:
            raise UsageError(
                "alert_changed",
                f"alert {alert.alert_id} was changed by {row['changed_by'] or 'another run'} meanwhile (version "
                f"{row['version']}, not {alert.version}); look at it again",
            )
        mine = alerts.c.number == row["number"]
        connection.execute(update(alerts).where(mine).values(**values, **change, version=alert.version + 1))
    return _message(connection.execute(select(alerts).where(alerts.c.alert_id == alert.alert_id)).mappings().one())


def _checked(alert: nightly_pb2.Alert) -> dict[str, Any]:
    alert_id = require_identifier(alert.alert_id, "id of an alert")
    require_text(alert.changed_by, f"name of who changes alert {alert_id}", most=_MAX_CHARACTERS)
    subject = {
        name: require_text(getattr(alert, name), f"{name} of alert {alert_id}", most=_MAX_CHARACTERS)
        for name in ("model", "device_id", "runtime", "metric")
    }
    return {
        "alert_id": alert_id,
        "suite_name": require_name(alert.suite_name, f"suite of alert {alert_id}:"),
        **subject,
        "state": require_identifier(alert.state, f"state of alert {alert_id}"),
        "is_open": int(alert.open),
        "first_night": require_count(alert.first_night, f"first night of alert {alert_id}:"),
        "last_night": require_count(alert.last_night, f"last night of alert {alert_id}:"),
        "json": require_json(alert.json, f"alert {alert_id}"),
    }


def _resolved(connection: Connection, text: str) -> RowMapping:
    row = connection.execute(select(alerts).where(alerts.c.alert_id == text)).mappings().first()
    if row is None and len(text) >= MIN_PREFIX_LENGTH:
        begins = func.substr(alerts.c.alert_id, 1, len(text)) == text
        fits = connection.execute(select(alerts).where(begins).limit(4)).mappings().all()
        if len(fits) > 1:
            named = ", ".join(one["alert_id"] for one in fits[:3])
            raise UsageError("ambiguous_alert", f"{text!r} begins several alerts: {named}; give more of it")
        row = fits[0] if fits else None
    if row is None:
        raise _not_found(text)
    return row


def _not_found(text: str) -> NotFoundError:
    return NotFoundError("alert_not_found", f"no alert has the id {text[:80]!r}; see `steelyard alerts list`")


def _message(row: RowMapping) -> nightly_pb2.Alert:
    texts = {name: row[name] for name in (*_FILTERS, "alert_id", "state", "json", "changed_by")}
    alert = nightly_pb2.Alert(
        **texts,
        open=bool(row["is_open"]),
        first_night=row["first_night"],
        last_night=row["last_night"],
        version=row["version"],
    )
    alert.changed_at.FromNanoseconds(row["changed_at_ns"])
    return alert

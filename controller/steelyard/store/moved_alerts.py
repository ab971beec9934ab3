"""Open alerts of a device whose place another one took. Every function runs inside the transaction that it is given."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from steelyard.store.nightly_schema import alerts
from steelyard.store.schema import devices

_OF_SERIES = ("suite_name", "model", "runtime", "metric")


def continue_under(connection: Connection, old_id: str, new_id: str, moved: Iterable[RowMapping], at_ns: int) -> None:
    """Let the open alerts of series that go on as another device's go on with them.

    Nights would otherwise never see them again, and they would stay open for ever. The device's own alert goes along
    with its series; an alert that the other device has open of the same stays, and the old one as it is.

    Args:
        connection: Of the transaction.
        old_id: The device that is replaced.
        new_id: The one that takes its place.
        moved: The rows of the series that go on under it.
        at_ns: The time, in ns since the epoch.
    """
    subjects = {tuple(row[name] for name in _OF_SERIES) for row in moved}
    subjects |= {(suite_name, "", "", "") for suite_name, *_ in subjects}
    taken = {_subject(row) for row in _open_of(connection, new_id)}
    name = connection.scalar(select(devices.c.name).where(devices.c.device_id == new_id)) or ""
    for row in _open_of(connection, old_id):
        if _subject(row) in subjects - taken:
            values = {
                "device_id": new_id,
                "json": _renamed(row["json"], new_id, name),
                "version": row["version"] + 1,
                "changed_at_ns": at_ns,
            }
            connection.execute(update(alerts).where(alerts.c.number == row["number"]).values(**values))


def _open_of(connection: Connection, device_id: str) -> list[RowMapping]:
    query = select(alerts).where(alerts.c.is_open == 1, alerts.c.device_id == device_id)
    return list(connection.execute(query).mappings())


def _subject(row: RowMapping) -> tuple[str, ...]:
    return tuple(row[name] for name in _OF_SERIES)


def _renamed(text: str, device_id: str, device: str) -> str:
    """Return an alert's document with another device, in its subject and in the series of its evidence.

    It is made by triage, which this does not know: what is not there, or is no table, stays as it is.
    """
    document: Any = json.loads(text)
    for place in (_table(document, "subject"), _table(_table(document, "evidence"), "series")):
        if place:
            place |= {"device_id": device_id, "device": device}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _table(document: Any, name: str) -> dict[str, Any]:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}

"""Rows of devices. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from steelyard.errors import NotFoundError, UsageError
from steelyard.store import device_rules, schema
from steelyard.store.access_rows import DeviceStanding, removed_devices, standings
from steelyard.store.names import MIN_PREFIX_LENGTH, near_names, require_identifier, require_name
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import common_pb2, control_pb2

_TABLE = schema.devices
# The agent that a controller starts itself: one at a time, with a new identity when its folder was removed.
_SPAWNED_NAME = "local"
_COLUMNS = (_TABLE.c.number, _TABLE.c.device_id, _TABLE.c.agent_version, _TABLE.c.last_seen_ns, _TABLE.c.message)


def put(connection: Connection, description: common_pb2.DeviceDescription, agent_version: str, seen_at_ns: int) -> None:
    """Keep what a device says of itself; see ``Store.put_device``."""
    device_id = require_identifier(description.device_id, "device id")
    values = {
        "name": require_name(description.name, f"name of device {device_id}:"),
        "agent_version": agent_version,
        "last_seen_ns": seen_at_ns,
        "message": description.SerializeToString(),
    }
    mine = _TABLE.c.device_id == device_id
    if connection.execute(update(_TABLE).where(mine).values(**values)).rowcount == 0:
        connection.execute(insert(_TABLE).values(device_id=device_id, **values))


def find(connection: Connection, text: str) -> control_pb2.Device:
    """Find one device; see ``Store.find_device``."""
    conditions = [_TABLE.c.device_id == text, _TABLE.c.name == text]
    if len(text) >= MIN_PREFIX_LENGTH:
        conditions.append(func.substr(_TABLE.c.device_id, 1, len(text)) == text)
    for condition in conditions:
        rows = (
            connection.execute(select(*_COLUMNS).where(condition).order_by(_TABLE.c.last_seen_ns.desc()).limit(4))
            .mappings()
            .all()
        )
        if len(rows) > 1:
            # A removed device does not stand in the way of the one that took its name.
            removed = set(connection.scalars(removed_devices()))
            rows = [row for row in rows if row["device_id"] not in removed] or rows
        if len(rows) > 1 and text != _SPAWNED_NAME:
            fits = ", ".join(str(row["device_id"]) for row in rows[:3])
            raise UsageError("ambiguous_device", f"{text!r} means several devices: {fits}; name one by its id")
        if rows:
            return _devices(connection, rows[:1])[0]
    names = connection.scalars(select(_TABLE.c.name)).all()
    none_yet = "; none has connected yet: start `steelyard-agent run` on it"
    hint = near_names(text, names) or ("; see `steelyard device list`" if names else none_yet)
    raise NotFoundError("device_not_found", f"no device has the name or id {text[:80]!r}{hint}")


def page(connection: Connection, page_size: int, page_token: str) -> tuple[list[control_pb2.Device], str]:
    """List devices in the order in which they were first seen, without those that were removed."""
    query = select(*_COLUMNS).where(_TABLE.c.device_id.not_in(removed_devices()))
    rows, token = fetch_page(
        connection, query, _TABLE.c.number, page_size=page_size, page_token=page_token, newest_first=False
    )
    return _devices(connection, rows), token


def _devices(connection: Connection, rows: Sequence[RowMapping]) -> list[control_pb2.Device]:
    known = standings(connection, [row["device_id"] for row in rows])
    found = [_device(row, known.get(row["device_id"])) for row in rows]
    device_rules.tell_of(connection, found)
    return found


def _device(row: RowMapping, standing: DeviceStanding | None) -> control_pb2.Device:
    device = control_pb2.Device(agent_version=row["agent_version"])
    device.description.ParseFromString(row["message"])
    device.last_seen.FromNanoseconds(row["last_seen_ns"])
    if standing is not None:
        device.standing = standing.standing
        device.tags.extend(standing.tags)
        if standing.certificate_not_after_ns is not None:
            device.certificate_not_after.FromNanoseconds(standing.certificate_not_after_ns)
    return device

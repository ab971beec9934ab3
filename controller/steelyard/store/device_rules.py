"""What was decided about devices, as rows; each method is one transaction. Reached as ``Store.fleet.rules``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from steelyard.errors import UsageError
from steelyard.store import jobs, moved_alerts, schema, series_rows
from steelyard.store.database import Database
from steelyard_protocol.v1 import control_pb2, health_pb2

_TABLE = schema.device_rules
_NOTHING = {
    "draining": 0,
    "quarantined_because": "",
    "quarantined_at_ns": 0,
    "power_switch": "",
    "most_cycles_an_hour": 0,
    "successor_id": "",
    "replaced_at_ns": 0,
    "health": b"",
}
# A place on a shelf does not see more devices than this; beyond it a chain would be a circle.
_MOST_REPLACEMENTS = 100


class DeviceRules:
    """Synchronous, for the store's thread. Devices are named by their whole ids."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    def set_draining(self, device_id: str, *, draining: bool) -> None:
        """Say whether a device takes nothing new."""
        self._set(device_id, draining=int(draining))

    def set_quarantine(self, device_id: str, reason: str) -> None:
        """Say why nothing may be sent to a device; "" when it may."""
        self._set(device_id, quarantined_because=reason, quarantined_at_ns=self._clock_ns() if reason else 0)

    def set_switch(self, device_id: str, switch: health_pb2.PowerSwitch) -> None:
        """Keep by which switch a device's supply goes off and on; an empty address is no switch."""
        most = switch.most_cycles_an_hour if switch.address else 0
        self._set(device_id, power_switch=switch.address, most_cycles_an_hour=most)

    def put_health(self, device_id: str, health: health_pb2.DeviceHealth) -> None:
        """Keep how a device fared; the samples are left out."""
        kept = health_pb2.DeviceHealth()
        kept.CopyFrom(health)
        del kept.samples[:]
        self._set(device_id, health=kept.SerializeToString())

    def health(self, device_id: str) -> tuple[health_pb2.DeviceHealth, str]:
        """Return how a device fared when that was last kept, and the version that its agent had then ("": none)."""
        devices = schema.devices
        with self._database.read() as connection:
            content = connection.scalar(select(_TABLE.c.health).where(_TABLE.c.device_id == device_id))
            version = connection.scalar(select(devices.c.agent_version).where(devices.c.device_id == device_id))
        return health_pb2.DeviceHealth.FromString(content or b""), version or ""

    def note_seen(self, device_id: str, seen_at_ns: int) -> None:
        """Keep that a device spoke ``seen_at_ns`` nanoseconds since the epoch; a later time that is known stays."""
        devices = schema.devices
        earlier = (devices.c.device_id == device_id) & (devices.c.last_seen_ns < seen_at_ns)
        with self._database.write() as connection:
            connection.execute(update(devices).where(earlier).values(last_seen_ns=seen_at_ns))

    def replace(self, old_id: str, new_id: str) -> health_pb2.DeviceReplacement:
        """Let a device take the place of another one: series and open alerts of the old one go on with the new one.

        Raises:
            UsageError: ``same_device``, ``already_replaced``, ``already_replaces`` or ``replaced_in_a_circle``.
        """
        if old_id == new_id:
            raise UsageError("same_device", f"device {old_id} cannot take its own place; name two devices")
        with self._database.write() as connection:
            before = _row(connection, old_id)
            if before["successor_id"] not in {"", new_id}:
                raise UsageError(
                    "already_replaced",
                    f"device {old_id} was replaced by {before['successor_id']} already; replace that one",
                )
            other = connection.scalar(select(_TABLE.c.device_id).where(_TABLE.c.successor_id == new_id))
            if other not in {None, old_id}:
                raise UsageError("already_replaces", f"device {new_id} took the place of {other} already")
            if any(one.old_device_id == new_id for one in predecessors(connection, old_id)):
                raise UsageError("replaced_in_a_circle", f"device {new_id} was replaced by way of {old_id}")
            if before["successor_id"]:
                return predecessors(connection, new_id)[0]
            now_ns = self._clock_ns()
            _put(connection, old_id, successor_id=new_id, replaced_at_ns=now_ns)
            replacement = predecessors(connection, new_id)[0]
            moved = series_rows.continue_under(connection, old_id, new_id, _replacement_text(replacement), now_ns)
            moved_alerts.continue_under(connection, old_id, new_id, moved, now_ns)
            return replacement

    def predecessors(self, device_id: str, before_ns: int | None = None) -> list[health_pb2.DeviceReplacement]:
        """List the replacements that led to a device, the last one first; those before a time, where one is given."""
        with self._database.read() as connection:
            return predecessors(connection, device_id, before_ns)

    def bind_job(self, job_id: str, device_id: str, device_name: str) -> None:
        """Keep which device runs a job; one that was for a pool is for that device from now on.

        Raises:
            NotFoundError: ``job_not_found``; ``job_id`` must be whole.
        """
        with self._database.write() as connection:
            job = jobs.get(connection, job_id)
            job.device_id = device_id
            if job.pool:
                job.device = device_name
            mine = schema.jobs.c.job_id == job_id
            connection.execute(update(schema.jobs).where(mine).values(message=job.SerializeToString()))

    def _set(self, device_id: str, **values: Any) -> None:
        with self._database.write() as connection:
            _put(connection, device_id, **values)


def tell_of(connection: Connection, devices: Sequence[control_pb2.Device]) -> None:
    """Add to devices what was decided about them and how they fared."""
    by_id = {one.description.device_id: one for one in devices}
    for row in connection.execute(select(_TABLE).where(_TABLE.c.device_id.in_(list(by_id)))).mappings():
        device = by_id[row["device_id"]]
        device.draining = bool(row["draining"])
        device.quarantined_because = row["quarantined_because"]
        if row["power_switch"]:
            device.power_switch.address = row["power_switch"]
            device.power_switch.most_cycles_an_hour = row["most_cycles_an_hour"]
        if row["health"]:
            device.health.ParseFromString(row["health"])
        if row["successor_id"]:
            device.replaced_by.CopyFrom(_replacement(connection, row))
    for row in connection.execute(select(_TABLE).where(_TABLE.c.successor_id.in_(list(by_id)))).mappings():
        by_id[row["successor_id"]].replaced.CopyFrom(_replacement(connection, row))


def predecessors(
    connection: Connection, device_id: str, before_ns: int | None = None
) -> list[health_pb2.DeviceReplacement]:
    """Return the replacements that led to a device; see ``DeviceRules.predecessors``."""
    found: list[health_pb2.DeviceReplacement] = []
    while len(found) < _MOST_REPLACEMENTS:
        row = connection.execute(select(_TABLE).where(_TABLE.c.successor_id == device_id)).mappings().first()
        if row is None or (before_ns is not None and row["replaced_at_ns"] >= before_ns):
            break
        found.append(_replacement(connection, row))
        device_id = row["device_id"]
    return found


def _replacement(connection: Connection, row: Any) -> health_pb2.DeviceReplacement:
    names = schema.devices.c.device_id, schema.devices.c.name
    known: dict[str, str] = {
        one.device_id: one.name
        for one in connection.execute(
            select(*names).where(schema.devices.c.device_id.in_([row["device_id"], row["successor_id"]]))
        )
    }
    replacement = health_pb2.DeviceReplacement(
        old_device_id=row["device_id"],
        new_device_id=row["successor_id"],
        old_device_name=known.get(row["device_id"], ""),
        new_device_name=known.get(row["successor_id"], ""),
    )
    replacement.at.FromNanoseconds(row["replaced_at_ns"])
    return replacement


def _replacement_text(one: health_pb2.DeviceReplacement) -> str:
    old = f"{one.old_device_name or 'a device'} ({one.old_device_id[:8]})"
    return f"{one.new_device_name or 'another one'} ({one.new_device_id[:8]}) took the place of {old}"


def _row(connection: Connection, device_id: str) -> dict[str, Any]:
    row = connection.execute(select(_TABLE).where(_TABLE.c.device_id == device_id)).mappings().first()
    return dict(row) if row is not None else {"device_id": device_id, **_NOTHING}


def _put(connection: Connection, device_id: str, **values: Any) -> None:
    mine = _TABLE.c.device_id == device_id
    if connection.execute(update(_TABLE).where(mine).values(**values)).rowcount == 0:
        connection.execute(insert(_TABLE).values(device_id=device_id, **{**_NOTHING, **values}))

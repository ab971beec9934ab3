"""The name under which a device is known: given once, at its enrollment, and to one device only."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, select, update

from steelyard.store import devices, schema
from steelyard.store.access_rows import removed_devices
from steelyard.store.names import MAX_NAME_LENGTH, require_name
from steelyard_protocol.v1 import common_pb2

_TABLE = schema.devices
# The agent that a controller starts by itself.
_RESERVED = "local"


def give(connection: Connection, device_id: str, wished: str, now_ns: int) -> str:
    """Return the name that a device gets: the wished one, or that with a number behind it, and keep it.

    Raises:
        UsageError: ``invalid_name``.
    """
    require_name(wished, f"name of device {device_id}:")
    # A board takes the name of the removed one whose place it takes.
    others = (_TABLE.c.device_id != device_id) & _TABLE.c.device_id.not_in(removed_devices())
    alike = select(_TABLE.c.device_id).where(_TABLE.c.name == wished, others)
    name = wished
    if wished == _RESERVED or connection.scalar(alike.limit(1)) is not None:
        # Shortened, so that the number still fits.
        stem = wished[: MAX_NAME_LENGTH - 12].rstrip()
        name = _numbered(connection, stem, others)
    _keep(connection, device_id, name, now_ns)
    return name


def _numbered(connection: Connection, stem: str, others: ColumnElement[bool]) -> str:
    # Only now, when there is a clash, is more read than one row: a fleet has thousands of names.
    begins = _TABLE.c.name.startswith(f"{stem}-", autoescape=True)
    taken = set(connection.scalars(select(_TABLE.c.name).where(begins, others)))
    return next(one for number in range(2, len(taken) + 3) if (one := f"{stem}-{number}") not in taken)


def _keep(connection: Connection, device_id: str, name: str, now_ns: int) -> None:
    mine = _TABLE.c.device_id == device_id
    message = connection.scalar(select(_TABLE.c.message).where(mine))
    if message is None:
        devices.put(connection, common_pb2.DeviceDescription(device_id=device_id, name=name), "", now_ns)
        return
    description = common_pb2.DeviceDescription.FromString(message)
    description.name = name
    connection.execute(update(_TABLE).where(mine).values(name=name, message=description.SerializeToString()))

"""What happened to devices, as rows; each method is one transaction. Reached as ``Store.fleet.log``."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import delete, func, insert, select

from steelyard.store import schema
from steelyard.store.database import Database
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import health_pb2

_TABLE = schema.device_events
# Of one device. A device whose link breaks every ten minutes fills it in two days.
MOST_EVENTS = 500
_MOST_CHARACTERS = 2000


class DeviceLog:
    """Synchronous, for the store's thread. Devices are named by their whole ids."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    def append(self, device_id: str, kind: str, message: str) -> None:
        """Keep a line; the oldest beyond ``MOST_EVENTS`` of the device go."""
        with self._database.write() as connection:
            values = {"device_id": device_id, "kind": kind, "message": message[:_MOST_CHARACTERS]}
            connection.execute(insert(_TABLE).values(at_ns=self._clock_ns(), **values))
            mine = _TABLE.c.device_id == device_id
            kept = select(_TABLE.c.number).where(mine).order_by(_TABLE.c.number.desc()).limit(1).offset(MOST_EVENTS)
            oldest = connection.scalar(kept)
            if oldest is not None:
                connection.execute(delete(_TABLE).where(mine, _TABLE.c.number <= oldest))

    def page(
        self, device_id: str, page_size: int = 0, page_token: str = ""
    ) -> tuple[list[health_pb2.DeviceEvent], str]:
        """List what happened to a device, the newest first, with the token of the next page.

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        with self._database.read() as connection:
            rows, token = fetch_page(
                connection,
                select(_TABLE).where(_TABLE.c.device_id == device_id),
                _TABLE.c.number,
                page_size=page_size,
                page_token=page_token,
                newest_first=True,
            )
        events = []
        for row in rows:
            event = health_pb2.DeviceEvent(cursor=row["number"], kind=row["kind"], message=row["message"])
            event.at.FromNanoseconds(row["at_ns"])
            events.append(event)
        return events, token

    def last(self, device_id: str, kinds: Collection[str]) -> str:
        """Return the newest line of one of these kinds, "" where there is none."""
        query = select(_TABLE.c.message).where(_TABLE.c.device_id == device_id, _TABLE.c.kind.in_(list(kinds)))
        with self._database.read() as connection:
            return connection.scalar(query.order_by(_TABLE.c.number.desc()).limit(1)) or ""

    def count_since(self, device_id: str, kind: str, since_ns: int) -> int:
        """Count the lines of a kind since a time (nanoseconds since the epoch)."""
        with self._database.read() as connection:
            query = select(func.count()).where(
                _TABLE.c.device_id == device_id, _TABLE.c.kind == kind, _TABLE.c.at_ns >= since_ns
            )
            return int(connection.scalar(query) or 0)

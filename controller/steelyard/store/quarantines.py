"""Artifacts whose workers crashed on a device, as rows; each method is one transaction.

Reached as ``Store.fleet.quarantines``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from steelyard.crash_limit import DEFAULT_CRASH_LIMIT
from steelyard.store import schema
from steelyard.store.database import Database
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import fleet_pb2, result_pb2

_CRASHES, _TABLE = schema.block_crashes, schema.artifact_quarantines


class Quarantines:
    """Synchronous, for the store's thread. Devices are named by their whole ids, artifacts by their digests."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    def note_crash(
        self,
        device_id: str,
        digest: str,
        key: result_pb2.ResultKey,
        what: str,
        *,
        crash_limit: int = DEFAULT_CRASH_LIMIT,
    ) -> str:
        """Count a worker that crashed, once for each round; ``crash_limit`` in a row quarantine the artifact there.

        Returns:
            The reason, when this crash was the one that quarantined it; "" otherwise.
        """
        with self._database.write() as connection:
            mine = _mine(_CRASHES, device_id, digest)
            same = {name: getattr(key, name) for name in ("job_id", "attempt", "pass_kind", "round_index")}
            known = select(_CRASHES.c.number).where(mine, *(_CRASHES.c[name] == value for name, value in same.items()))
            if connection.scalar(known) is not None or _reason(connection, device_id, digest):
                return ""
            connection.execute(insert(_CRASHES).values(device_id=device_id, artifact_digest=digest, **same))
            count = int(connection.scalar(select(func.count()).select_from(_CRASHES).where(mine)) or 0)
            if count < crash_limit:
                return ""
            reason = f"{count} workers crashed on it one after the other; the last: {what}"
            values = {"reason": reason, "crash_count": count, "quarantined_at_ns": self._clock_ns()}
            connection.execute(insert(_TABLE).values(device_id=device_id, artifact_digest=digest, **values))
            return reason

    def note_success(self, device_id: str, digest: str) -> None:
        """Forget the crashes of an artifact that ran well on a device; a quarantine stays until it is lifted."""
        with self._database.write() as connection:
            connection.execute(delete(_CRASHES).where(_mine(_CRASHES, device_id, digest)))

    def crashed(self, device_id: str) -> frozenset[str]:
        """Return the artifacts whose last worker on a device crashed."""
        with self._database.read() as connection:
            query = select(_CRASHES.c.artifact_digest).where(_CRASHES.c.device_id == device_id).distinct()
            return frozenset(connection.scalars(query))

    def reasons(self, device_id: str, digests: Collection[str]) -> dict[str, str]:
        """Return why artifacts of a plan may not run on a device, by digest; those that may are left out."""
        with self._database.read() as connection:
            query = select(_TABLE.c.artifact_digest, _TABLE.c.reason).where(
                _TABLE.c.device_id == device_id, _TABLE.c.artifact_digest.in_(list(digests))
            )
            return {row.artifact_digest: row.reason for row in connection.execute(query)}

    def reasons_by_device(self, digests: Collection[str]) -> dict[str, dict[str, str]]:
        """Return the same for every device on which one of them may not run."""
        found: dict[str, dict[str, str]] = {}
        with self._database.read() as connection:
            query = select(_TABLE.c.device_id, _TABLE.c.artifact_digest, _TABLE.c.reason).where(
                _TABLE.c.artifact_digest.in_(list(digests))
            )
            for row in connection.execute(query):
                found.setdefault(row.device_id, {})[row.artifact_digest] = row.reason
        return found

    def page(self, device_id: str, page_size: int = 0, page_token: str = "") -> tuple[list[fleet_pb2.Quarantine], str]:
        """List quarantined artifacts of a device, of every one for "", the newest first, with the next page's token."""
        query = _named()
        if device_id:
            query = query.where(_TABLE.c.device_id == device_id)
        with self._database.read() as connection:
            rows, token = fetch_page(
                connection, query, _TABLE.c.number, page_size=page_size, page_token=page_token, newest_first=True
            )
        return [_quarantine(row) for row in rows], token

    def devices(self, device_id: str = "") -> list[fleet_pb2.Quarantine]:
        """List the devices whose figures cannot be trusted, or only the one with this id."""
        rules, devices = schema.device_rules, schema.devices
        query = (
            select(rules, devices.c.name.label("device_name"))
            .outerjoin(devices, devices.c.device_id == rules.c.device_id)
            .where(rules.c.quarantined_because != "")
            .order_by(rules.c.quarantined_at_ns.desc())
        )
        if device_id:
            query = query.where(rules.c.device_id == device_id)
        with self._database.read() as connection:
            return [_quarantined_device(row) for row in connection.execute(query).mappings()]

    def lift(self, device_id: str, digest: str = "") -> list[fleet_pb2.Quarantine]:
        """Let an artifact run on a device again, or all of them for ""; return what was lifted."""
        with self._database.write() as connection:
            query = _named().where(_mine(_TABLE, device_id, digest))
            lifted = [_quarantine(row) for row in connection.execute(query).mappings()]
            for table in (_TABLE, _CRASHES):
                connection.execute(delete(table).where(_mine(table, device_id, digest)))
            return lifted


def _mine(table: Any, device_id: str, digest: str) -> Any:
    mine = table.c.device_id == device_id
    return mine & (table.c.artifact_digest == digest) if digest else mine


def _reason(connection: Connection, device_id: str, digest: str) -> str:
    return connection.scalar(select(_TABLE.c.reason).where(_mine(_TABLE, device_id, digest))) or ""


def _named() -> Any:
    """Select quarantines with the names of device and artifact."""
    devices, artifacts = schema.devices, schema.artifacts
    return (
        select(_TABLE, devices.c.name.label("device_name"), artifacts.c.name.label("artifact_name"))
        .outerjoin(devices, devices.c.device_id == _TABLE.c.device_id)
        .outerjoin(artifacts, artifacts.c.digest == _TABLE.c.artifact_digest)
    )


def _quarantine(row: Any) -> fleet_pb2.Quarantine:
    quarantine = fleet_pb2.Quarantine(
        device_id=row["device_id"],
        device_name=row["device_name"] or "",
        artifact_digest=row["artifact_digest"],
        artifact_name=row["artifact_name"] or "",
        reason=row["reason"],
        crash_count=row["crash_count"],
    )
    quarantine.since.FromNanoseconds(row["quarantined_at_ns"])
    return quarantine


def _quarantined_device(row: Any) -> fleet_pb2.Quarantine:
    quarantine = fleet_pb2.Quarantine(
        device_id=row["device_id"], device_name=row["device_name"] or "", reason=row["quarantined_because"]
    )
    quarantine.since.FromNanoseconds(row["quarantined_at_ns"])
    return quarantine

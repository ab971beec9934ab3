"""The newest lease epoch of each job on each device, as rows; each method is one transaction.

Reached as ``Store.fleet.leases``.
"""

from __future__ import annotations

from sqlalchemy import insert, select, update

from steelyard.store import schema
from steelyard.store.database import Database

_TABLE = schema.lease_epochs


class LeaseEpochs:
    """Synchronous, for the store's thread. Devices and jobs are named by their whole ids."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self, device_id: str, job_id: str) -> int:
        """Return the newest epoch of a job on a device, 0 when it had none."""
        with self._database.read() as connection:
            query = select(_TABLE.c.epoch).filter_by(job_id=job_id, device_id=device_id)
            return int(connection.scalar(query) or 0)

    def raise_to(self, device_id: str, job_id: str, epoch: int) -> None:
        """Keep an epoch; an older one than is known changes nothing."""
        with self._database.write() as connection:
            mine = (_TABLE.c.job_id == job_id) & (_TABLE.c.device_id == device_id)
            known = connection.scalar(select(_TABLE.c.epoch).where(mine))
            if known is None:
                connection.execute(insert(_TABLE).values(job_id=job_id, device_id=device_id, epoch=epoch))
            elif known < epoch:
                connection.execute(update(_TABLE).where(mine).values(epoch=epoch))

"""The newest lease of each job on each device: whoever comes with an older one was left behind, and is refused.

A device's epoch only rises. One that comes with an older epoch is a copy of the device, or one that was restored from
a copy: what it sends may be of another time.
"""

from __future__ import annotations

from collections import OrderedDict

from steelyard.control.job_end import JobEnd
from steelyard.errors import SteelyardError
from steelyard.store.names import LARGEST_INTEGER
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2

# Of jobs that run or have just ended; the store knows the others.
_REMEMBERED = 10_000


class StaleEpochError(SteelyardError):
    """Something was sent under a lease that is over."""

    def __init__(self, job_id: str, epoch: int, newest: int) -> None:
        super().__init__(
            "stale_epoch",
            f"epoch {epoch} of job {job_id[:12]} is over: this device has shown {newest}; is there a second device "
            "with the same state directory? give one of them a new one",
        )


class Fence:
    """Used from one event loop."""

    def __init__(self, store: AsyncStore) -> None:
        """Keep the newest epochs in ``store``, so that a restarted controller refuses what this one refuses."""
        self._store = store
        self._newest: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def take(self, device_id: str, job_id: str, epoch: int) -> None:
        """Take note of a lease that a device granted, durably.

        Raises:
            JobEnd: AGENT_ERROR, ``stale_epoch``: it is older than one that the device granted this job before;
                ``bad_epoch``: it is none.
        """
        if epoch > LARGEST_INTEGER:
            # It may rise no more, and no table holds it.
            raise JobEnd(
                control_pb2.JOB_STATE_AGENT_ERROR, "bad_epoch", f"the device granted epoch {epoch}, which no lease has"
            )
        newest = await self.newest(device_id, job_id)
        if epoch < newest:
            error = StaleEpochError(job_id, epoch, newest)
            raise JobEnd(control_pb2.JOB_STATE_AGENT_ERROR, error.reason, str(error))
        if epoch > newest:
            await self._store.call_when_room(lambda store: store.fleet.leases.raise_to(device_id, job_id, epoch))
            self._remember((device_id, job_id), epoch)

    async def require_current(self, device_id: str, job_id: str, epoch: int) -> None:
        """Let in what is sent under the newest lease, or under one of which nothing was heard yet.

        Raises:
            StaleEpochError: A newer one is known.
        """
        newest = await self.newest(device_id, job_id)
        if epoch < newest:
            raise StaleEpochError(job_id, epoch, newest)

    async def newest(self, device_id: str, job_id: str) -> int:
        """Return the newest epoch of a job on a device, 0 when it had none."""
        key = (device_id, job_id)
        if key not in self._newest:
            self._remember(key, await self._store.call(lambda store: store.fleet.leases.newest(device_id, job_id)))
        self._newest.move_to_end(key)
        return self._newest[key]

    def _remember(self, key: tuple[str, str], epoch: int) -> None:
        # Another task may have raised it while the store was asked.
        self._newest[key] = max(epoch, self._newest.get(key, 0))
        while len(self._newest) > _REMEMBERED:
            self._newest.popitem(last=False)

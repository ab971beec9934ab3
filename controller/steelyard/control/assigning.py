"""Which device runs a measurement: the one that was named, or the first free one of a pool that fits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from steelyard.control.devices import Devices
from steelyard.control.job_end import JobEnd
from steelyard.control.pools import Pool, parse_pool, refused_because, unfit_because
from steelyard.errors import UsageError
from steelyard.fleet.registry import Fleet
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2, plan_pb2

Tell = Callable[[str], Awaitable[None]]
# Whatever wakes those who wait is told at once; this is for what nobody tells.
_LOOK_S = 15.0
_TOLD_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The devices of a pool, as far as they matter: free ones, and why the others are not to be had."""

    free: tuple[str, ...]
    busy: tuple[str, ...]
    # Of those that are connected or that are refused; a sentence each.
    unfit: tuple[str, ...]


class Assigner:
    """Gives jobs their devices. Used from one event loop."""

    def __init__(self, *, store: AsyncStore, fleet: Fleet, devices: Devices) -> None:
        self._store = store
        self._fleet = fleet
        self._devices = devices
        # Devices and priorities by the job that was given them: also jobs that still wait for the lease.
        self._given: dict[str, tuple[str, int]] = {}

    def release(self, job_id: str) -> None:
        """Note that a job is over."""
        if self._given.pop(job_id, None) is not None:
            self._fleet.changes.tell()

    async def assign(self, job: control_pb2.Job, plan: plan_pb2.Plan, wait_s: float, *, tell: Tell) -> str:
        """Return the id of the device that runs a job, waiting for one; the store knows it then.

        A job that has begun on a device goes on there. ``wait_s`` is how long a device that fits may stay away;
        ``tell`` says what the job waits for.

        Raises:
            JobEnd: DEVICE_LOST when none came in time, USER_ERROR when a model of the plan is quarantined there.
        """
        pool = parse_pool(job.pool)
        begun = bool(job.device_id) and bool(await self._store.call(Store.recorded_keys, job.job_id))
        if pool is not None and not begun:
            device_id = await self._first_free(job, pool, plan, wait_s, tell=tell)
        else:
            device_id = await self._devices.wait_online(job.device_id if begun else job.device, wait_s)
            if not begun:
                await self._wait_taken(device_id, plan, tell=tell)
        # Before anything is awaited: the next job that looks must see it.
        self._given[job.job_id] = (device_id, job.priority)
        name = await self._unambiguous_name(device_id)
        if job.device_id != device_id:
            await self._store.call_when_room(lambda store: store.fleet.rules.bind_job(job.job_id, device_id, name))
        if pool is not None and not begun:
            await tell(f"device {name} was chosen from {pool}")
        return device_id

    async def _first_free(
        self, job: control_pb2.Job, pool: Pool, plan: plan_pb2.Plan, wait_s: float, *, tell: Tell
    ) -> str:
        deadline, told = time.monotonic() + wait_s, ""
        while True:
            seen = self._fleet.changes.count
            found = await self._look(pool, plan)
            # Where none is free, one whose jobs are less urgent: they give way at the end of a round.
            to_be_had = self._untaken(found.free) or self._outranked((*found.free, *found.busy), job.priority)
            if to_be_had:
                # Taken before the loop gives way to another job.
                self._given[job.job_id] = (to_be_had[0], job.priority)
                return to_be_had[0]
            if found.busy or found.free:
                deadline = time.monotonic() + wait_s
                message = f"waiting for a device of {pool}: all {len(found.busy) + len(found.free)} that fit are busy"
            elif time.monotonic() >= deadline:
                raise _none_fits(pool, found, wait_s)
            else:
                message = f"waiting for a device of {pool}: none that fits is connected"
            if message != told:
                told = message
                await tell(message)
            await self._fleet.changes.wait(seen, min(_LOOK_S, max(0.0, deadline - time.monotonic()) + 0.01))

    def _untaken(self, device_ids: Sequence[str]) -> list[str]:
        taken = {device_id for device_id, _ in self._given.values()}
        return [one for one in device_ids if one not in taken]

    def _outranked(self, device_ids: Sequence[str], priority: int) -> list[str]:
        """Return devices that were given to jobs of ours only, all of which are less urgent."""
        most = dict.fromkeys(device_ids, -1)
        for device_id, of_job in self._given.values():
            if device_id in most:
                most[device_id] = max(most[device_id], of_job)
        return [one for one in device_ids if 0 <= most[one] < priority]

    async def _look(self, pool: Pool, plan: plan_pb2.Plan) -> _Found:
        free: list[str] = []
        busy: list[str] = []
        unfit: list[str] = []
        labels = {one.artifact_digest: one.label for one in plan.artifacts}
        # In one question: a pool may hold thousands, and is looked at whenever one of them comes or goes.
        reasons = await self._store.call(lambda store: store.fleet.quarantines.reasons_by_device(labels))
        for device in await self._devices.of_pool(pool):
            name, device_id = device.description.name, device.description.device_id
            refusal = refused_because(device, sorted(labels[digest] for digest in reasons.get(device_id, ())))
            if refusal:
                unfit.append(refusal)
                continue
            presence = self._fleet.presence(device_id)
            if presence is None:
                continue
            lacks = unfit_because(presence.hello.device, plan)
            if lacks:
                unfit.append(f"device {name}: {lacks}")
            elif presence.lease.job_id:
                busy.append(device_id)
            else:
                free.append(device_id)
        return _Found(free=tuple(free), busy=tuple(busy), unfit=tuple(unfit))

    async def _wait_taken(self, device_id: str, plan: plan_pb2.Plan, *, tell: Tell) -> None:
        """Wait while a device takes nothing new.

        Raises:
            JobEnd: USER_ERROR when a model of the plan is quarantined there.
        """
        told = ""
        while True:
            seen = self._fleet.changes.count
            device = await self._store.call(Store.find_device, device_id)
            for planned, why in (await self._reasons(device_id, plan)).items():
                raise JobEnd(
                    control_pb2.JOB_STATE_USER_ERROR,
                    "artifact_quarantined",
                    quarantine_sentence(planned, device.description.name, why),
                )
            refusal = refused_because(device)
            if not refusal:
                return
            if refusal != told:
                told = refusal
                await tell(f"waiting: {refusal}")
            await self._fleet.changes.wait(seen, _LOOK_S)

    async def _reasons(self, device_id: str, plan: plan_pb2.Plan) -> dict[str, str]:
        """Return why models of a plan may not run on a device, by label."""
        labels = {one.artifact_digest: one.label for one in plan.artifacts}
        reasons = await self._store.call(lambda store: store.fleet.quarantines.reasons(device_id, labels))
        return {labels[digest]: reason for digest, reason in reasons.items()}

    async def _unambiguous_name(self, device_id: str) -> str:
        name = (await self._store.call(Store.find_device, device_id)).description.name
        try:
            found = await self._store.call(Store.find_device, name)
        except UsageError:
            return device_id
        return name if found.description.device_id == device_id else device_id


def quarantine_sentence(artifact: str, device: str, why: str) -> str:
    """Return why a model is not sent to a device, and what to do about it."""
    return (
        f"{artifact} is quarantined on device {device}: {why}; `steelyard device quarantine lift {device}` lets it run "
        "there again"
    )


def _none_fits(pool: Pool, found: _Found, wait_s: float) -> JobEnd:
    reasons = "; ".join(found.unfit[:_TOLD_NAMES])
    return JobEnd(
        control_pb2.JOB_STATE_DEVICE_LOST,
        "no_device_fits",
        f"no device of {pool} that fits was connected within {wait_s:.0f} s{f' ({reasons})' if reasons else ''}: see "
        "`steelyard device list`",
    )

"""One job on the device: stage its blobs, then run the rounds that are granted until the lease ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from steelyard_agent.jobs.claims import Claim
from steelyard_agent.jobs.confidential import mark_confidential
from steelyard_agent.jobs.delivery import Delivery
from steelyard_agent.jobs.errors import JobError
from steelyard_agent.jobs.lease import HeldLease, LeaseKeeper
from steelyard_agent.jobs.messages import timestamp
from steelyard_agent.jobs.plan_check import check_grant
from steelyard_agent.jobs.planned_blocks import BlobPaths
from steelyard_agent.jobs.port import ControllerPort, TransferGrant
from steelyard_agent.jobs.room import RoomWait
from steelyard_agent.jobs.round_tools import RoundTools
from steelyard_agent.jobs.rounds import FinishedRound, RoundRunner
from steelyard_agent.jobs.staging import Stager
from steelyard_agent.jobs.whole import run_whole
from steelyard_agent.jobs.wire import block_progress, staging_progress
from steelyard_agent.jobs.work_policy import DevicePolicyError, WorkPolicy
from steelyard_agent.log_lines import JOB_ID
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.outbox import Outbox, RoundKey
from steelyard_agent.state.outbox_share import OutboxShare
from steelyard_protocol.v1.plan_pb2 import Plan
from steelyard_protocol.v1.result_pb2 import Pass, RoundResult
from steelyard_protocol.v1.session_pb2 import JobPhase, RoundGrant

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class LeaseLapsedError(JobError):
    """The controller was away for longer than the lease lives; the device is free for others."""

    def __init__(self, lease: HeldLease) -> None:
        super().__init__(
            "lease_expired",
            f"nothing was heard about job {lease.job_id} for {lease.ttl_ms / 1000:g} s, so that its lease ran out; "
            "finished rounds are kept: offer the job again",
        )


class YieldedError(JobError):
    """A more urgent job has the device next."""

    def __init__(self, claim: Claim, *, elsewhere: bool) -> None:
        whose = f" of controller {claim.controller_id or 'on loopback'}" if elsewhere else ""
        super().__init__(
            "yielded",
            f"gave way to job {claim.job_id}{whose}, which is more urgent; finished rounds are kept, the others follow",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTools:
    """What a job needs of the device and of the link."""

    cache: BlobCache
    outbox: Outbox | OutboxShare
    delivery: Delivery
    port: ControllerPort
    leases: LeaseKeeper
    rounds: RoundTools
    policy: WorkPolicy


class JobRun:
    """A job that holds the lease. ``run`` ends only by an error or by being cancelled."""

    def __init__(self, *, lease: HeldLease, plan: Plan, segment: int, tools: JobTools) -> None:
        self.lease = lease
        self.segment = segment
        self.staging = True
        self._plan = plan
        self._tools = tools
        self._grants: asyncio.Queue[RoundGrant] = asyncio.Queue()
        self._open_grant_count = 0
        self._done: set[RoundKey] = set()

    @property
    def waiting(self) -> bool:
        """True when every granted round ran."""
        return self._open_grant_count == 0

    def grant(self, grant: RoundGrant) -> None:
        """Queue granted rounds; they start once staging is done.

        Raises:
            InvalidPlanError: The plan has no such rounds.
        """
        check_grant(grant, self._plan)
        self._open_grant_count += 1
        self._grants.put_nowait(grant)

    def recorded(self, keys: Iterable[RoundKey]) -> None:
        """Take note that rounds are recorded: a grant that is older than that asks for them in vain."""
        self._done.update(replace(key, attempt=self.lease.attempt) for key in keys if key.job_id == self.lease.job_id)

    async def run(self) -> None:
        """Stage, then run grants.

        Raises:
            AgentError: The job cannot go on; the reason and sentence are the controller's to read.
        """
        JOB_ID.set(self.lease.job_id)
        runner = RoundRunner(plan=self._plan, paths=await self._stage(), tools=self._tools.rounds)
        self.staging = False
        while True:
            grant = await self._next_grant()
            for index in range(grant.first_round, grant.first_round + grant.round_count):
                await self._run_round(runner, grant.pass_kind, index)
            self._open_grant_count -= 1
            # Away while the batch ran is not away: the time to live counts from here.
            self._tools.leases.renew()
            self._tools.delivery.grant_finished(grant)

    async def _stage(self) -> BlobPaths:
        def report(detail: str, done: int, total: int) -> None:
            self._tools.leases.renew()
            self._tools.port.tell(staging_progress(self.lease, detail=detail, bytes_done=done, bytes_total=total))

        mark_confidential(self._tools.cache.confidential, self._plan, self.lease)
        stager = Stager(
            cache=self._tools.cache,
            port=self._tools.port,
            grant=TransferGrant(job_id=self.lease.job_id, epoch=self.lease.epoch),
            report=report,
        )
        room = self._room_wait(Pass.PASS_UNSPECIFIED, 0)
        staging: asyncio.Future[Mapping[str, Path]] = asyncio.ensure_future(
            room.until_done(partial(stager.stage, self._plan))
        )
        # What is half here is gone on with later.
        return BlobPaths(by_digest=await self._while_it_is_ours(staging))

    async def _next_grant(self) -> RoundGrant:
        return await self._while_it_is_ours(asyncio.ensure_future(self._grants.get()))

    async def _while_it_is_ours(self, doing: asyncio.Future[_Result]) -> _Result:
        """Return what ``doing`` gives, unless the lease runs out or a more urgent job wants the device before that.

        A controller that went away for good must not hold the device, also through a job that never started.
        """
        leases = self._tools.leases
        contended = asyncio.ensure_future(leases.contended.wait())
        try:
            while not doing.done():
                both: list[asyncio.Future[Any]] = [doing, contended]
                await asyncio.wait(both, timeout=leases.remaining_s(), return_when=asyncio.FIRST_COMPLETED)
                if not doing.done():
                    self._check_lease()
                    self._give_way()
                    if contended.done():
                        # Whoever wanted it waits no more.
                        leases.contended.clear()
                        contended = asyncio.ensure_future(leases.contended.wait())
            return doing.result()
        finally:
            doing.cancel()
            contended.cancel()
            rest: list[asyncio.Future[Any]] = [doing, contended]
            await asyncio.wait(rest)

    def _give_way(self) -> None:
        claim = self._tools.leases.more_urgent()
        if claim is not None:
            raise YieldedError(claim, elsewhere=claim.controller_id != self.lease.controller_id)

    def _check_lease(self) -> None:
        if self._tools.leases.remaining_s() <= 0:
            raise LeaseLapsedError(self.lease)

    async def _run_round(self, runner: RoundRunner, pass_kind: Pass.ValueType, index: int) -> None:
        key = RoundKey(job_id=self.lease.job_id, attempt=self.lease.attempt, pass_kind=pass_kind, round_index=index)
        if key in self._done or self._is_in_outbox(key):
            _log.info("round %s was granted again but ran already", key.folder_name)
            return
        self._give_way()
        if (refusal := await self._tools.policy.refusal()) is not None:
            raise DevicePolicyError(refusal)
        segment, started_ns, began_s = self.segment, time.time_ns(), time.monotonic()
        finished = await runner.run(
            pass_kind,
            index,
            before_block=partial(self._announce, pass_kind, index),
            while_waiting=partial(self._announce, pass_kind, index, phase=JobPhase.JOB_PHASE_GATING),
        )
        took_s = time.monotonic() - began_s
        self._tools.policy.worked(took_s)
        result = RoundResult(
            job_id=key.job_id,
            attempt=key.attempt,
            pass_kind=pass_kind,
            round_index=index,
            segment=segment,
            blocks=finished.blocks,
            started_at=timestamp(started_ns),
            # By the clock that nobody sets: a board that learns the time in the middle did not work for decades.
            finished_at=timestamp(started_ns + int(took_s * 1e9)),
        )
        await self._keep(key, result, finished)
        await self._tools.delivery.deliver()

    def _is_in_outbox(self, key: RoundKey) -> bool:
        """Return whether a round waits to be recorded, also one of an earlier attempt."""
        return any(replace(entry.key, attempt=key.attempt) == key for entry in self._tools.outbox.entries())

    async def _keep(self, key: RoundKey, result: RoundResult, finished: FinishedRound) -> None:
        put = partial(
            self._tools.outbox.put,
            key,
            epoch=self.lease.epoch,
            result=result.SerializeToString(deterministic=True),
            outputs=finished.output_files,
        )
        # A finished round is not lost, also when the job is cancelled now.
        room = self._room_wait(Pass.ValueType(key.pass_kind), key.round_index)
        await room.until_done(partial(run_whole, put))
        self._done.add(key)

    def _room_wait(self, pass_kind: Pass.ValueType, index: int) -> RoomWait:
        async def tell(why: str) -> None:
            await self._announce(pass_kind, index, 0, why, phase=JobPhase.JOB_PHASE_GATING)

        return RoomWait(self._tools.rounds.room, tell)

    async def _announce(
        self,
        pass_kind: Pass.ValueType,
        index: int,
        blocks_done: int,
        detail: str,
        *,
        phase: JobPhase.ValueType = JobPhase.JOB_PHASE_RUNNING,
    ) -> None:
        self._tools.port.tell(
            block_progress(
                self.lease,
                pass_kind=pass_kind,
                round_index=index,
                blocks_done=blocks_done,
                block_count=len(self._plan.artifacts),
                detail=detail,
                phase=phase,
            )
        )
        await self._tools.port.settle()

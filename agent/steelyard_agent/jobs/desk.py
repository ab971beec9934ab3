"""Answers what the controller says about jobs: offers, grants, cancellations, releases, acknowledgements.

Runs on one event loop; nothing in here knows gRPC.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard_agent.errors import AgentError
from steelyard_agent.jobs import wire
from steelyard_agent.jobs.confidential import ConfidentialWork
from steelyard_agent.jobs.delivery import Delivery
from steelyard_agent.jobs.errors import InvalidPlanError, JobError, TransferRefusedError
from steelyard_agent.jobs.lease import HeldLease, LeaseKeeper
from steelyard_agent.jobs.port import ControllerPort
from steelyard_agent.jobs.round_tools import LaterTools, RoundTools, round_tools
from steelyard_agent.jobs.work_policy import AnyWork, PolicyRefusal, WorkPolicy
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.durable import remove_tree
from steelyard_agent.state.errors import StateError
from steelyard_agent.state.outbox import Outbox, OutboxEntry, RoundKey
from steelyard_agent.state.outbox_share import OutboxShare
from steelyard_protocol.v1.common_pb2 import JobPriority
from steelyard_protocol.v1.session_pb2 import (
    ConnectRequest,
    ConnectResponse,
    JobCancellation,
    JobOffer,
    LeaseRelease,
    ResultAcknowledgement,
    RoundGrant,
)

if TYPE_CHECKING:
    from steelyard_agent.jobs.run import JobRun, JobTools

_log = logging.getLogger(__name__)

# Failures that could not be said because the link was down; older ones are dropped.
_MAX_UNSAID = 16


class CancelledError(JobError):
    """The controller cancelled the job."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__("cancelled", f"job {job_id} was cancelled: {reason or 'no reason given'}")


class JobDesk:
    """Speaks with one controller and holds at most one running job of it; desks of a device share lease and gate.

    ``bug`` is done with an exception when a job died of something unforeseen.
    """

    def __init__(
        self,
        *,
        leases: LeaseKeeper,
        outbox: Outbox | OutboxShare,
        cache: BlobCache,
        port: ControllerPort,
        rounds: RoundTools | LaterTools,
        policy: WorkPolicy | None = None,
        controller_id: str = "",
    ) -> None:
        """Wire the parts together; nothing starts before ``handle`` is told to."""
        self._leases = leases
        self._outbox = outbox
        self._controller_id = controller_id
        self._policy = policy or AnyWork()
        self._port = port
        self._work_folder = rounds.work_folder
        self.delivery = Delivery(
            outbox=outbox,
            port=port,
            gate=rounds.gate,
            on_refused=self._refuse_round,
            newest_epoch=lambda: leases.newest_epoch,
        )
        self._cache = cache
        if leases.held is None:
            # What a killed agent left is nobody's.
            cache.confidential.remove()
            cache.confidential.remove_compiled()
        self._confidential = ConfidentialWork(cache.confidential, port, controller_id=controller_id)
        self._rounds = rounds
        self._made_tools: JobTools | None = None
        self._run: JobRun | None = None
        self._task: asyncio.Task[None] | None = None
        self._unsaid: list[ConnectRequest] = []
        self.bug: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def activity(self) -> str:
        """What the device does, as heartbeats say it."""
        if self._run is None or (self._run.waiting and not self._run.staging):
            return "idle"
        return "staging" if self._run.staging else "running"

    @property
    def lease(self) -> HeldLease | None:
        """The lease, if a job of this controller holds it."""
        return self._leases.held_by(self._controller_id)

    def unacknowledged(self) -> list[RoundKey]:
        """Return the rounds that wait in the outbox."""
        return [entry.key for entry in self._outbox.entries()]

    def heard(self) -> None:
        """Any sign of life of the controller renews its lease."""
        if self.lease is not None:
            self._leases.renew()

    def session_opened(self) -> None:
        """Say again what the controller may have missed."""
        for message in self._unsaid:
            self._port.tell(message)
        self._unsaid.clear()
        self._confidential.tell(running_job_id=self._run.lease.job_id if self._run is not None else None)
        self.delivery.session_opened(job_waits=self._run is not None and self._run.waiting)

    async def handle(self, message: ConnectResponse) -> None:
        """Do what one message asks; messages that are not about jobs are nothing to do with the desk."""
        kind = message.WhichOneof("payload")
        if kind == "job_offer":
            await self._offered(message.job_offer)
        elif kind == "round_grant":
            await self._granted(message.round_grant)
        elif kind == "job_cancellation":
            await self._cancelled(message.job_cancellation)
        elif kind == "lease_release":
            await self._released(message.lease_release)
        elif kind == "result_acknowledgement":
            self._acknowledged(message.result_acknowledgement)

    async def close(self) -> None:
        """Stop the running job, its worker included."""
        if self._run is not None:
            await self._stop()

    @property
    def _tools(self) -> JobTools:
        """What jobs are run with; an agent that idles has not imported it."""
        if self._made_tools is None:
            from steelyard_agent.jobs.run import JobTools

            self._made_tools = JobTools(
                cache=self._cache,
                outbox=self._outbox,
                delivery=self.delivery,
                port=self._port,
                leases=self._leases,
                rounds=round_tools(self._rounds),
                policy=self._policy,
            )
        return self._made_tools

    async def _offered(self, offer: JobOffer) -> None:
        from steelyard_agent.jobs.named_files import refuse_own_files
        from steelyard_agent.jobs.plan_check import check_offer

        before = self.lease
        try:
            check_offer(offer, self._tools.rounds.interpreters)
            refuse_own_files(offer.plan, self._work_folder.parent)
            # A job that has the device is told at the boundary of its round.
            if before is None and (refusal := await self._policy.refusal()) is not None:
                self._refuse_by_policy(offer, refusal)
                return
            lease = self._leases.grant(
                offer.job_id,
                offer.attempt,
                offer.lease_ttl_ms,
                controller_id=self._controller_id,
                priority=offer.priority or JobPriority.JOB_PRIORITY_NORMAL,
                # Not said later: who is away asks anyhow.
                nudge=lambda: self._nudge(offer),
            )
        except (InvalidPlanError, StateError) as error:
            self._say(wire.failed(offer.job_id[:120], offer.attempt, error))
            return
        if lease is None:
            self._refuse(offer)
            return
        if self._run is None or lease != before:
            await self._stop(keep_lease=True)
            self._start(lease, offer)
        else:
            self._run.segment = offer.segment
        self._port.tell(wire.granted(lease))

    def _nudge(self, offer: JobOffer) -> None:
        self._port.tell(wire.free_now(offer.job_id, offer.attempt))

    def _refuse(self, offer: JobOffer) -> None:
        holder, following = self._leases.held, self._leases.next_in_turn()
        if holder is None:
            assert following is not None
            self._port.tell(wire.refused_for_another(offer.job_id, offer.attempt, next_job_id=following.job_id))
            return
        until_ns = time.time_ns() + int(self._leases.remaining_s() * 1e9)
        _log.info("job %s is refused: job %s holds this device", offer.job_id, holder.job_id)
        elsewhere = holder.controller_id != self._controller_id
        self._port.tell(
            wire.refused(offer.job_id, offer.attempt, holder=holder, held_until_unix_ns=until_ns, elsewhere=elsewhere)
        )

    def _refuse_by_policy(self, offer: JobOffer, refusal: PolicyRefusal) -> None:
        _log.info("job %s is refused (%s): %s", offer.job_id, refusal.rule, refusal.sentence)
        self._port.tell(
            wire.refused_by_policy(
                offer.job_id, offer.attempt, because=refusal.sentence, until_unix_ns=refusal.until_unix_ns
            )
        )

    def _start(self, lease: HeldLease, offer: JobOffer) -> None:
        from steelyard_agent.jobs.run import JobRun

        _log.info("job %s (attempt %d) holds this device, epoch %d", lease.job_id, lease.attempt, lease.epoch)
        self._run = JobRun(lease=lease, plan=offer.plan, segment=offer.segment, tools=self._tools)
        self._task = asyncio.ensure_future(self._run.run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A job that ended by itself failed: say why and let the device go."""
        if task.cancelled() or task is not self._task:
            return
        error = task.exception()
        if isinstance(error, AgentError):
            self._fail(error)
        elif isinstance(error, OSError):
            # A disk that fails is the device's trouble, not a bug: the next job may run.
            self._fail(JobError("device_io", f"a file of the agent could not be used: {error}; look at its disk"))
        elif error is not None and not self.bug.done():
            self.bug.set_exception(error)

    def _fail(self, error: AgentError) -> None:
        assert self._run is not None
        lease = self._run.lease
        _log.warning("job %s ended here: %s", lease.job_id, error)
        self._say(wire.failed(lease.job_id, lease.attempt, error))
        self._let_go()

    def _let_go(self, *, keep_lease: bool = False) -> None:
        over, self._run, self._task = self._run, None, None
        self.delivery.forget_notices()
        if over is not None:
            self._confidential.job_over(over.lease.job_id)
        if self.lease is None:
            # The device is another controller's: its files are not ours to remove.
            return
        self._cache.confidential.remove_compiled()
        if not keep_lease:
            self._leases.release()
        empty_folder(self._work_folder)

    async def _stop(self, *, keep_lease: bool = False) -> None:
        task = self._task
        # From here on the task's own end is no failure.
        self._task = None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._let_go(keep_lease=keep_lease)

    async def _granted(self, grant: RoundGrant) -> None:
        run = self._run
        if run is None or (grant.job_id, grant.attempt, grant.epoch) != _identity(run.lease):
            _log.warning("a grant of job %s, epoch %d, is ignored: it holds no lease", grant.job_id, grant.epoch)
            return
        try:
            run.grant(grant)
        except InvalidPlanError as error:
            await self._stop_and_say(run, error)

    async def _cancelled(self, cancellation: JobCancellation) -> None:
        self._leases.withdraw(cancellation.job_id, controller_id=self._controller_id)
        run = self._run
        if run is not None and run.lease.job_id == cancellation.job_id:
            await self._stop_and_say(run, CancelledError(cancellation.job_id, cancellation.reason))

    async def _stop_and_say(self, run: JobRun, error: AgentError) -> None:
        _log.info("job %s ends: %s", run.lease.job_id, error)
        await self._stop()
        self._say(wire.failed(run.lease.job_id, run.lease.attempt, error))

    async def _released(self, release: LeaseRelease) -> None:
        self._leases.withdraw(release.job_id, controller_id=self._controller_id)
        run = self._run
        if run is not None and run.lease.job_id == release.job_id and run.lease.attempt == release.attempt:
            _log.info("job %s let this device go", release.job_id)
            await self._stop()

    def _acknowledged(self, acknowledgement: ResultAcknowledgement) -> None:
        try:
            keys = [wire.round_key(key) for key in acknowledgement.keys]
        except ValueError as error:
            _log.warning("an acknowledgement is ignored: %s", error)
            return
        self.delivery.recorded(keys)
        if self._run is not None:
            self._run.recorded(keys)

    def _refuse_round(self, entry: OutboxEntry, error: TransferRefusedError) -> None:
        """A running job whose results are not taken would wait for ever."""
        run = self._run
        if run is not None and run.lease.job_id == entry.key.job_id:
            asyncio.get_running_loop().call_soon(self._end_refused, run, error)

    def _end_refused(self, run: JobRun, error: TransferRefusedError) -> None:
        if self._run is run and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            self._fail(error)

    def _say(self, message: ConnectRequest) -> None:
        """Tell now, or at the next welcome."""
        if not self._port.tell(message):
            self._unsaid = [*self._unsaid, message][-_MAX_UNSAID:]


def _identity(lease: HeldLease) -> tuple[str, int, int]:
    return lease.job_id, lease.attempt, lease.epoch


def empty_folder(folder: Path) -> None:
    """Remove everything in a folder, the folder itself stays."""
    if not folder.is_dir():
        # The disk was taken away, or somebody removed the state directory: there is nothing left to empty.
        return
    for path in folder.iterdir():
        if path.is_dir():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)

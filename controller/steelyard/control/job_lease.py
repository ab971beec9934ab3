"""A job's hold on its device: offered until it is granted, and taken again whenever the device let the job go.

Why a device lets go for a while (it was away, gives way to a more urgent job, its owner's rules) and what ends a job
are told apart in here. Rounds that are recorded meanwhile count as ever.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from steelyard.control.fencing import Fence
from steelyard.control.job_end import JobEnd
from steelyard.control.retries import RetryRule
from steelyard.fleet.inbox import JobInbox, JobNews, LinkLost, LinkUp, RoundRecorded
from steelyard.fleet.registry import Fleet
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2, session_pb2

LEASE_TTL_S = 45.0
_LEASE_ANSWER_TIMEOUT_S = 30.0
# Asked again after a refusal; rarer each time, since the agent says when the device is free.
_REFUSED_RETRY_S = 2.0
_REFUSED_RETRY_MOST_S = 10.0
# What the plan is to blame for; everything else is the device's trouble.
_USER_FAULTS = frozenset({"invalid_plan", "cancelled"})
# The device let the job go, and takes it again when it is its turn: no failure, and nothing to count.
_LET_GO = frozenset({"lease_expired", "yielded", "device_policy"})

Note = Callable[[control_pb2.JobState.ValueType, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regained:
    """The device was away, or let the job go, and is the job's again: grants are to be made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """What is asked of the device: for which job, as which attempt, how urgently; ``silence_s`` may pass in a block."""

    job_id: str
    device_id: str
    plan: plan_pb2.Plan
    attempt: int = 1
    priority: common_pb2.JobPriority.ValueType = common_pb2.JOB_PRIORITY_NORMAL
    silence_s: float = 0.0
    lost_grace_s: float = 3 * LEASE_TTL_S


class JobLease:
    """Used by the job's own task only."""

    def __init__(
        self,
        terms: LeaseTerms,
        *,
        fleet: Fleet,
        segment: int,
        note: Note,
        count: Callable[[RoundRecorded], Awaitable[None]],
        retries: RetryRule,
        fence: Fence | None = None,
    ) -> None:
        """Ask for the device of ``terms`` when told to.

        ``note`` commits a state, ``count`` takes rounds that come in while the device is waited for, ``retries`` says
        which failures are tried again, ``fence`` keeps the newest epoch.
        """
        self._terms = terms
        self._fleet = fleet
        self._note = note
        self._count = count
        self._retries = retries
        self._fence = fence
        self._attempt = terms.attempt
        self._inbox: JobInbox | None = None
        self.segment = segment
        self.epoch = 0
        self.held = False

    async def take(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Return when the device is ours, or when ``enough`` says that nothing more is wanted of it.

        Raises:
            JobEnd: It is not to be had.
        """
        told_holder, pause_s = "", _REFUSED_RETRY_S
        while not self.held and not enough():
            self._send(session_pb2.ConnectResponse(job_offer=self._offer()))
            answer = await self._answer(_LEASE_ANSWER_TIMEOUT_S, enough)
            if answer is not None and not self._grants(answer):
                if answer.refused_because not in {"", told_holder}:
                    told_holder = answer.refused_because
                    await self._note(control_pb2.JOB_STATE_QUEUED, f"waiting for the device: {told_holder}")
                # Until the device says that it is free, or a late answer comes.
                answer = await self._answer(pause_s, enough)
                pause_s = min(_REFUSED_RETRY_MOST_S, pause_s * 1.5)
            if answer is not None and self._grants(answer):
                await self._taken(answer.lease)

    def open(self) -> None:
        """Begin to hear of the device."""
        self._inbox = self._fleet.listen(self._terms.job_id, self._terms.device_id)

    def close(self) -> None:
        """Let the device go, whatever state the job is in."""
        self.held = False
        self._set_quiet(0.0)
        release = session_pb2.LeaseRelease(job_id=self._terms.job_id, attempt=self._attempt)
        self._send(session_pb2.ConnectResponse(lease_release=release))
        self._fleet.unlisten(self._terms.job_id)

    def cancel_on_device(self, reason: str) -> None:
        """Tell the device to drop this job now."""
        cancellation = session_pb2.JobCancellation(job_id=self._terms.job_id, reason=reason)
        self._send(session_pb2.ConnectResponse(job_cancellation=cancellation))

    def grant(self, pass_kind: int, first_round: int, round_count: int) -> None:
        """Let the device run rounds."""
        grant = session_pb2.RoundGrant(
            job_id=self._terms.job_id,
            attempt=self._attempt,
            epoch=self.epoch,
            pass_kind=pass_kind,  # type: ignore[arg-type]
            first_round=first_round,
            round_count=round_count,
        )
        self._send(session_pb2.ConnectResponse(round_grant=grant))

    async def news(
        self, timeout_s: float | None, enough: Callable[[], bool]
    ) -> RoundRecorded | session_pb2.JobProgress | session_pb2.GrantFinished | Regained | None:
        """Return the next news that matter to rounds, None when nothing came in time.

        Raises:
            JobEnd: The device said that it failed, or stays away too long.
        """
        while True:
            news = await self._next(timeout_s)
            if isinstance(news, LinkUp):
                await self._reconcile(news, enough)
                return Regained()
            if news is None or isinstance(news, RoundRecorded | session_pb2.JobProgress | session_pb2.GrantFinished):
                return news

    # -- the lease ----------------------------------------------------------------------------------------------

    def _offer(self) -> session_pb2.JobOffer:
        return session_pb2.JobOffer(
            job_id=self._terms.job_id,
            attempt=self._attempt,
            plan=self._terms.plan,
            lease_ttl_ms=int(LEASE_TTL_S * 1000),
            segment=self.segment,
            priority=self._terms.priority,
        )

    def _grants(self, answer: session_pb2.LeaseAnswer) -> bool:
        """Say whether the device is ours; a lease of an attempt that is over is not."""
        return answer.HasField("lease") and answer.lease.attempt == self._attempt

    async def _taken(self, lease: session_pb2.Lease) -> None:
        if self._fence is not None:
            # Committed before anything is granted under it.
            await self._fence.take(self._terms.device_id, self._terms.job_id, lease.epoch)
        self.epoch, self.held = lease.epoch, True
        self._set_quiet(self._terms.silence_s)
        await self._note(control_pb2.JOB_STATE_LEASED, "the device is ours")

    async def _reconcile(self, up: LinkUp, enough: Callable[[], bool]) -> None:
        """Go on after the device came back: with its lease when it kept it, with a new one when it did not."""
        kept = up.hello.lease
        if self.held and (kept.job_id, kept.attempt, kept.epoch) == (self._terms.job_id, self._attempt, self.epoch):
            self._set_quiet(self._terms.silence_s)
            return
        self.held = False
        self.segment += 1
        await self.take(enough)

    # -- the inbox ----------------------------------------------------------------------------------------------

    async def _answer(self, timeout_s: float, enough: Callable[[], bool]) -> session_pb2.LeaseAnswer | None:
        """Return the device's answer; None after the time-out, when it came back, or when it has ``enough``."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0 and not enough():
            news = await self._next(left_s)
            if isinstance(news, session_pb2.LeaseAnswer):
                return news
            if isinstance(news, RoundRecorded):
                await self._count(news)
            if isinstance(news, LinkUp):
                return None
        return None

    async def _next(self, timeout_s: float | None) -> JobNews | None:
        """Return the next news; a device that let the job go, or came back, is a ``LinkUp``."""
        assert self._inbox is not None
        news = await self._inbox.get(timeout_s)
        while isinstance(news, session_pb2.JobFailed) and news.attempt not in {0, self._attempt}:
            # Of an attempt that is over.
            news = await self._inbox.get(timeout_s)
        if isinstance(news, session_pb2.JobFailed):
            return await self._let_go(news)
        if isinstance(news, LinkLost):
            return await self._wait_for_return(news)
        return news

    async def _let_go(self, failed: session_pb2.JobFailed) -> LinkUp:
        reason, message = failed.error.reason, failed.error.message
        if reason not in _LET_GO:
            if reason in _USER_FAULTS:
                raise JobEnd(control_pb2.JOB_STATE_USER_ERROR, reason, message)
            self._attempt = await self._retries.next_attempt(self._attempt, failed.error)
        elif reason != "lease_expired":
            await self._note(control_pb2.JOB_STATE_QUEUED, message)
        self.held = False
        return LinkUp(hello=session_pb2.Hello())

    async def _wait_for_return(self, lost: LinkLost) -> LinkUp:
        grace_s = self._terms.lost_grace_s
        message = f"the device left ({lost.reason}); waiting up to {grace_s:.0f} s for it"
        await self._note(control_pb2.JOB_STATE_QUEUED, message)
        assert self._inbox is not None
        deadline = time.monotonic() + grace_s
        while (left_s := deadline - time.monotonic()) > 0:
            news = await self._inbox.get(left_s)
            if isinstance(news, LinkUp):
                return news
            if isinstance(news, RoundRecorded):
                await self._count(news)
        raise JobEnd(
            control_pb2.JOB_STATE_DEVICE_LOST,
            "device_lost",
            f"the device went away ({lost.reason}) and did not come back within {grace_s:.0f} s; its finished rounds "
            "are kept: start its agent again and submit the job once more",
        )

    # -- small things -------------------------------------------------------------------------------------------

    def _send(self, message: session_pb2.ConnectResponse) -> None:
        presence = self._fleet.presence(self._terms.device_id)
        if presence is not None:
            presence.link.send(message)

    def _set_quiet(self, quiet_s: float) -> None:
        presence = self._fleet.presence(self._terms.device_id)
        if presence is not None:
            presence.quiet_s = quiet_s

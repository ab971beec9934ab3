"""One measurement on one device: lease, rounds granted in batches until the stop rule is content, release.

The task of a job is the only one that decides for it; what the device does arrives in its inbox. Finished rounds live
in the store before they count, so that the job can go on after a crash of the agent, the link or the controller.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from steelyard.analysis.duration import longest_energy_silence_ms, timed_window_ms
from steelyard.analysis.stop import StopDecision
from steelyard.analysis.validity import most_repeated, rounds_that_count
from steelyard.control.job_end import JobEnd
from steelyard.control.meter_watch import MeterWatch
from steelyard.control.older_agents import refuse_when_ignored
from steelyard.control.vain_rounds import refuse_when_nothing_is_valid, refuse_when_nothing_runs
from steelyard.fleet.inbox import JobInbox, JobNews, LinkLost, LinkUp, RoundRecorded
from steelyard.fleet.registry import Fleet
from steelyard_protocol.v1 import control_pb2, plan_pb2, result_pb2, session_pb2

LEASE_TTL_S = 45.0
_LEASE_ANSWER_TIMEOUT_S = 30.0
_REFUSED_RETRY_S = 2.0
_STATE_OF_PHASE = {
    session_pb2.JOB_PHASE_STAGING: control_pb2.JOB_STATE_STAGING,
    session_pb2.JOB_PHASE_GATING: control_pb2.JOB_STATE_GATING,
    session_pb2.JOB_PHASE_RUNNING: control_pb2.JOB_STATE_RUNNING,
    session_pb2.JOB_PHASE_UPLOADING: control_pb2.JOB_STATE_RUNNING,
}
PASS_WORDS = {
    result_pb2.PASS_EVALUATION: "accuracy",
    result_pb2.PASS_LATENCY: "latency",
    result_pb2.PASS_ENERGY: "energy",
    result_pb2.PASS_PREPARATION: "preparation",
    result_pb2.PASS_OPERATORS: "operators",
    result_pb2.PASS_NUMERIC: "numeric check",
    result_pb2.PASS_ROOFLINE: "roofline",
}
# What the plan is to blame for; everything else is the device's trouble.
_USER_FAULTS = frozenset({"invalid_plan", "cancelled"})

# After the device said that its rounds are done, what is still missing has this long to be recorded.
_RECORDING_GRACE_S = 30.0
_News = TypeVar("_News")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What a measurement needs from the controller.

    ``note(state, message, done, total)`` commits a state with its event; ``decide`` is the stop rule over the latency
    rounds that are recorded so far; a device that went away has ``lost_grace_s`` to come back.
    """

    fleet: Fleet
    note: Callable[[control_pb2.JobState.ValueType, str, int, int], Awaitable[None]]
    decide: Callable[[list[result_pb2.RoundResult]], StopDecision]
    # One round of each, in this order, before anything is timed.
    passes_before: tuple[result_pb2.Pass.ValueType, ...] = ()
    # One round of each, in this order, after everything else.
    passes_after: tuple[result_pb2.Pass.ValueType, ...] = ()
    # Rounds of the energy pass, after the timed ones; 0: no such pass.
    energy_round_count: int = 0
    # Whether the device has a source of power or energy of its own.
    device_tells_energy: bool = False
    # Every round of this job that is recorded: what the session stored while nobody listened counts as well.
    reload: Callable[[], Awaitable[list[result_pb2.RoundResult]]]
    # External meters to record during the energy pass; None: none were named.
    meters: MeterWatch | None = None
    min_round_count: int = 0
    lost_grace_s: float = 3 * LEASE_TTL_S


class MeasurementJob:
    """Runs one measurement to its end."""

    def __init__(
        self,
        *,
        job_id: str,
        device_id: str,
        plan: plan_pb2.Plan,
        context: JobContext,
        recorded: list[result_pb2.RoundResult],
    ) -> None:
        self._job_id = job_id
        self._device_id = device_id
        self._plan = plan
        self._context = context
        self._fleet = context.fleet
        self._rounds = {(result.pass_kind, result.round_index): result for result in recorded}
        self._segment = 1 + max((result.segment for result in recorded), default=-1)
        self._attempt = 1
        self._epoch = 0
        rounds_at_least = context.min_round_count + len(context.passes_before) + len(context.passes_after)
        self._total_blocks = rounds_at_least * len(plan.artifacts)
        self.stop_reason = ""

    async def run(self) -> None:
        """Measure until the stop rule is content; raises JobEnd for every other end."""
        inbox = self._fleet.listen(self._job_id, self._device_id)
        try:
            await self._take_lease(inbox)
            for pass_kind in self._context.passes_before:
                await self._run_until(inbox, pass_kind, 1)
            await self._run_latency(inbox)
            if self._context.energy_round_count:
                await self._run_energy(inbox)
            await self._run_after(inbox)
        finally:
            self._release()
            self._fleet.unlisten(self._job_id)

    # -- the lease ----------------------------------------------------------------------------------------------

    async def _take_lease(self, inbox: JobInbox) -> None:
        told_holder = ""
        while True:
            self._send(session_pb2.ConnectResponse(job_offer=self._offer()))
            answer = await self._next(inbox, session_pb2.LeaseAnswer, _LEASE_ANSWER_TIMEOUT_S)
            if answer is None:
                continue
            if answer.HasField("lease"):
                self._epoch = answer.lease.epoch
                self._set_quiet(_longest_silence_s(self._plan))
                await self._note(control_pb2.JOB_STATE_LEASED, "the device is ours")
                return
            if answer.refused_because != told_holder:
                told_holder = answer.refused_because
                await self._note(control_pb2.JOB_STATE_QUEUED, f"waiting for the device: {answer.refused_because}")
            await self._next(inbox, LinkUp, _REFUSED_RETRY_S)

    def _offer(self) -> session_pb2.JobOffer:
        return session_pb2.JobOffer(
            job_id=self._job_id,
            attempt=self._attempt,
            plan=self._plan,
            lease_ttl_ms=int(LEASE_TTL_S * 1000),
            segment=self._segment,
        )

    def _release(self) -> None:
        self._set_quiet(0.0)
        release = session_pb2.LeaseRelease(job_id=self._job_id, attempt=self._attempt)
        self._send(session_pb2.ConnectResponse(lease_release=release))

    def cancel_on_device(self, reason: str) -> None:
        """Tell the device to drop this job now."""
        cancellation = session_pb2.JobCancellation(job_id=self._job_id, reason=reason)
        self._send(session_pb2.ConnectResponse(job_cancellation=cancellation))

    # -- the rounds ---------------------------------------------------------------------------------------------

    async def _run_latency(self, inbox: JobInbox) -> None:
        while True:
            refuse_when_nothing_runs(self.results())
            refuse_when_ignored(self.results(), self._plan)
            rounds = [result for result in self.results() if result.pass_kind == result_pb2.PASS_LATENCY]
            decision = self._context.decide(rounds)
            if decision.stop:
                refuse_when_nothing_is_valid(rounds, decision.reason)
                self.stop_reason = decision.reason
                return
            await self._run_until(inbox, result_pb2.PASS_LATENCY, len(rounds) + decision.round_count)

    async def _run_after(self, inbox: JobInbox) -> None:
        running = result_pb2.PASS_UNSPECIFIED
        try:
            for running in self._context.passes_after:
                await self._run_until(inbox, running, 1)
        except JobEnd as end:
            if end.reason != "invalid_plan":
                raise
            # An agent from before this pass took the plan and refuses the grant; what was timed must not go with it.
            word = PASS_WORDS.get(running, "?")
            await self._note(control_pb2.JOB_STATE_RUNNING, f"no {word}: the agent there does not know it; update it")

    async def _run_energy(self, inbox: JobInbox) -> None:
        meters = self._context.meters
        round_count = self._context.energy_round_count
        if meters is None or not self._missing(result_pb2.PASS_ENERGY, round_count):
            await self._run_valid(inbox, result_pb2.PASS_ENERGY, round_count)
            return
        try:
            for trouble in await meters.start():
                await self._note(control_pb2.JOB_STATE_RUNNING, trouble)
            # Windows of minutes are not run for nobody; the traces still say why each meter has no value.
            if meters.any_reads or self._context.device_tells_energy:
                await self._run_valid(inbox, result_pb2.PASS_ENERGY, round_count)
        finally:
            # Also when the job is cancelled: no thread may go on reading.
            await meters.stop()

    async def _run_valid(self, inbox: JobInbox, pass_kind: result_pb2.Pass.ValueType, round_count: int) -> None:
        """Run as many rounds of a pass as are asked for that are valid, within the bounds of repeating."""
        most = round_count + most_repeated(round_count)
        wanted = round_count
        while True:
            await self._run_until(inbox, pass_kind, wanted)
            rounds = [result for result in self.results() if result.pass_kind == pass_kind]
            lacking = round_count - len(rounds_that_count(rounds))
            if lacking <= 0 or wanted >= most:
                return
            wanted = min(most, wanted + lacking)

    async def _run_until(self, inbox: JobInbox, pass_kind: result_pb2.Pass.ValueType, round_count: int) -> None:
        """Grant rounds 0 to ``round_count`` of a pass that are missing, and wait until all are recorded."""
        missing = self._missing(pass_kind, round_count)
        blocks_known = (len(self._rounds) + len(missing)) * len(self._plan.artifacts)
        self._total_blocks = max(self._total_blocks, blocks_known)
        self._grant(pass_kind, missing)
        finished = False
        while missing:
            news = await self._next_any(inbox, _RECORDING_GRACE_S if finished else None)
            if isinstance(news, RoundRecorded):
                await self._count(news)
            elif isinstance(news, session_pb2.JobProgress):
                await self._progress(news)
            elif isinstance(news, session_pb2.GrantFinished):
                finished = news.pass_kind == pass_kind
                await self._reload()
            elif isinstance(news, LinkUp):
                finished = False
                await self._reconcile(inbox, news)
                await self._reload()
                self._grant(pass_kind, self._missing(pass_kind, round_count))
            missing = self._missing(pass_kind, round_count)
            if news is None and missing:
                raise JobEnd(
                    control_pb2.JOB_STATE_AGENT_ERROR,
                    "rounds_not_recorded",
                    f"the device finished, but {len(missing)} rounds could not be recorded: the controller's log says "
                    "why; free its disk or submit the job again",
                )

    async def _reload(self) -> None:
        """Take in what was recorded while the link, or its session here, broke between storing and telling."""
        for result in await self._context.reload():
            self._rounds.setdefault((result.pass_kind, result.round_index), result)

    def _missing(self, pass_kind: result_pb2.Pass.ValueType, round_count: int) -> list[int]:
        return [index for index in range(round_count) if (pass_kind, index) not in self._rounds]

    def _grant(self, pass_kind: result_pb2.Pass.ValueType, missing: list[int]) -> None:
        if not missing:
            return
        grant = session_pb2.RoundGrant(
            job_id=self._job_id,
            attempt=self._attempt,
            epoch=self._epoch,
            pass_kind=pass_kind,
            first_round=missing[0],
            round_count=missing[-1] - missing[0] + 1,
        )
        self._send(session_pb2.ConnectResponse(round_grant=grant))

    async def _count(self, news: RoundRecorded) -> None:
        self._rounds[(news.key.pass_kind, news.key.round_index)] = news.result
        if self._context.meters is not None and news.key.pass_kind == result_pb2.PASS_ENERGY:
            self._context.meters.round_over()
        word = PASS_WORDS.get(news.key.pass_kind, "?")
        done = len(self._rounds) * len(self._plan.artifacts)
        await self._note(control_pb2.JOB_STATE_RUNNING, f"{word} round {news.key.round_index + 1} recorded", done)

    async def _progress(self, progress: session_pb2.JobProgress) -> None:
        state = _STATE_OF_PHASE.get(progress.phase)
        if state is None:
            return
        begins = progress.phase == session_pb2.JOB_PHASE_RUNNING
        if self._context.meters is not None and progress.pass_kind == result_pb2.PASS_ENERGY and begins:
            self._context.meters.heard(progress.round_index, progress.detail)
        if progress.phase == session_pb2.JOB_PHASE_STAGING:
            message = f"sending {progress.detail}: {progress.bytes_done:,} of {progress.bytes_total:,} bytes"
        elif progress.phase == session_pb2.JOB_PHASE_GATING:
            message = progress.detail
        else:
            message = f"{PASS_WORDS.get(progress.pass_kind, '?')} round {progress.round_index + 1}: {progress.detail}"
        done = len(self._rounds) * len(self._plan.artifacts) + progress.blocks_done
        await self._note(state, message, done)

    async def _reconcile(self, inbox: JobInbox, up: LinkUp) -> None:
        """Go on after the device came back: with its lease when it kept it, with a new one when it restarted."""
        if up.hello.lease.job_id == self._job_id and up.hello.lease.epoch == self._epoch:
            self._set_quiet(_longest_silence_s(self._plan))
            return
        self._segment += 1
        await self._take_lease(inbox)

    # -- the inbox ----------------------------------------------------------------------------------------------

    async def _next_any(self, inbox: JobInbox, timeout_s: float | None) -> JobNews | None:
        """Return the next news; ends the job when the device says that it failed or stays away too long."""
        news = await inbox.get(timeout_s)
        if isinstance(news, session_pb2.JobFailed):
            if news.error.reason == "lease_expired":
                # The device thought us gone for good; to it we are back, without a lease.
                return LinkUp(hello=session_pb2.Hello())
            user_fault = news.error.reason in _USER_FAULTS
            state = control_pb2.JOB_STATE_USER_ERROR if user_fault else control_pb2.JOB_STATE_AGENT_ERROR
            raise JobEnd(state, news.error.reason, news.error.message)
        if isinstance(news, LinkLost):
            return await self._wait_for_return(inbox, news)
        return news

    async def _wait_for_return(self, inbox: JobInbox, lost: LinkLost) -> JobNews:
        grace_s = self._context.lost_grace_s
        message = f"the device left ({lost.reason}); waiting up to {grace_s:.0f} s for it"
        await self._note(control_pb2.JOB_STATE_QUEUED, message)
        deadline = time.monotonic() + grace_s
        while (left_s := deadline - time.monotonic()) > 0:
            news = await inbox.get(left_s)
            if isinstance(news, LinkUp):
                return news
            if isinstance(news, RoundRecorded):
                await self._count(news)
        raise JobEnd(
            control_pb2.JOB_STATE_DEVICE_LOST,
            "device_lost",
            f"the device went away ({lost.reason}) and did not come back within {grace_s:.0f} s; the "
            f"{len(self._rounds)} finished rounds are kept: start its agent again and submit the job once more",
        )

    async def _next(self, inbox: JobInbox, kind: type[_News], timeout_s: float) -> _News | None:
        """Return the next news of one kind, None after the time-out or when the device came back instead."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            news = await self._next_any(inbox, left_s)
            if isinstance(news, kind):
                return news
            if isinstance(news, RoundRecorded):
                await self._count(news)
            if isinstance(news, LinkUp):
                return None
        return None

    # -- small things -------------------------------------------------------------------------------------------

    def results(self) -> list[result_pb2.RoundResult]:
        """Return every recorded round, in order."""
        return [self._rounds[key] for key in sorted(self._rounds)]

    async def _note(self, state: control_pb2.JobState.ValueType, message: str, done: int | None = None) -> None:
        blocks_done = len(self._rounds) * len(self._plan.artifacts) if done is None else done
        await self._context.note(state, message, blocks_done, max(self._total_blocks, blocks_done))

    def _send(self, message: session_pb2.ConnectResponse) -> None:
        presence = self._fleet.presence(self._device_id)
        if presence is not None:
            presence.link.send(message)

    def _set_quiet(self, quiet_s: float) -> None:
        presence = self._fleet.presence(self._device_id)
        if presence is not None:
            presence.quiet_s = quiet_s


def _longest_silence_s(plan: plan_pb2.Plan) -> float:
    """Return how long a device may be silent within a block: until its time-out, on top of the longest timed window."""
    window_ms = max(timed_window_ms(plan), longest_energy_silence_ms(plan.energy))
    return (plan.block_timeout_ms + window_ms) / 1000 + 10

"""One measurement on one device: rounds granted in batches until the stop rule is content.

The task of a job is the only one that decides for it; what the device does arrives in its inbox. Finished rounds live
in the store before they count, so that the job can go on after a crash of the agent, the link or the controller.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from steelyard.analysis.duration import longest_energy_silence_ms, timed_window_ms
from steelyard.analysis.stop import StopDecision
from steelyard.analysis.validity import most_repeated, rounds_that_count
from steelyard.control.fencing import Fence
from steelyard.control.job_end import JobEnd
from steelyard.control.job_lease import LEASE_TTL_S, JobLease, LeaseTerms, Regained
from steelyard.control.meter_watch import MeterWatch
from steelyard.control.older_agents import refuse_when_ignored
from steelyard.control.retries import RetryRule
from steelyard.control.vain_rounds import refuse_when_nothing_is_valid, refuse_when_nothing_runs
from steelyard.fleet.inbox import RoundRecorded
from steelyard.fleet.registry import Fleet
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2, result_pb2, session_pb2

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

# After the device said that its rounds are done, what is still missing has this long to be recorded: the device says
# it again after 5, 15, 35 and 75 s, while our disk may be full.
_RECORDING_GRACE_S = 90.0


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
    priority: common_pb2.JobPriority.ValueType = common_pb2.JOB_PRIORITY_NORMAL
    attempt: int = 1
    # Which failures of the device are tried again.
    retries: RetryRule = field(default_factory=lambda: RetryRule(keep=_keep_nothing))
    # The newest epochs of leases; None in a test that needs none.
    fence: Fence | None = None


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
        self._plan = plan
        self._context = context
        self._rounds = {(result.pass_kind, result.round_index): result for result in recorded}
        terms = LeaseTerms(
            job_id=job_id,
            device_id=device_id,
            plan=plan,
            attempt=context.attempt,
            priority=context.priority,
            silence_s=_longest_silence_s(plan),
            lost_grace_s=context.lost_grace_s,
        )
        self._lease = JobLease(
            terms,
            fleet=context.fleet,
            segment=1 + max((result.segment for result in recorded), default=-1),
            note=self._note,
            count=self._count,
            retries=context.retries,
            fence=context.fence,
        )
        rounds_at_least = context.min_round_count + len(context.passes_before) + len(context.passes_after)
        self._total_blocks = rounds_at_least * len(plan.artifacts)
        self.stop_reason = ""

    async def run(self) -> None:
        """Measure until the stop rule is content; raises JobEnd for every other end."""
        self._lease.open()
        try:
            # From here on it is told; what was recorded since somebody looked is not.
            await self._reload()
            await self._lease.take()
            for pass_kind in self._context.passes_before:
                await self._run_until(pass_kind, 1)
            await self._run_latency()
            if self._context.energy_round_count:
                await self._run_energy()
            await self._run_after()
        finally:
            self._lease.close()

    def cancel_on_device(self, reason: str) -> None:
        """Tell the device to drop this job now."""
        self._lease.cancel_on_device(reason)

    # -- the rounds ---------------------------------------------------------------------------------------------

    async def _run_latency(self) -> None:
        while True:
            refuse_when_nothing_runs(self.results())
            refuse_when_ignored(self.results(), self._plan)
            rounds = [result for result in self.results() if result.pass_kind == result_pb2.PASS_LATENCY]
            decision = self._context.decide(rounds)
            if decision.stop:
                refuse_when_nothing_is_valid(rounds, decision.reason)
                self.stop_reason = decision.reason
                return
            await self._run_until(result_pb2.PASS_LATENCY, len(rounds) + decision.round_count)

    async def _run_after(self) -> None:
        running = result_pb2.PASS_UNSPECIFIED
        try:
            for running in self._context.passes_after:
                await self._run_until(running, 1)
        except JobEnd as end:
            if end.reason != "invalid_plan":
                raise
            # An agent from before this pass took the plan and refuses the grant; what was timed must not go with it.
            word = PASS_WORDS.get(running, "?")
            await self._note(control_pb2.JOB_STATE_RUNNING, f"no {word}: the agent there does not know it; update it")

    async def _run_energy(self) -> None:
        meters = self._context.meters
        round_count = self._context.energy_round_count
        if meters is None or not self._missing(result_pb2.PASS_ENERGY, round_count):
            await self._run_valid(result_pb2.PASS_ENERGY, round_count)
            return
        try:
            for trouble in await meters.start():
                await self._note(control_pb2.JOB_STATE_RUNNING, trouble)
            # Windows of minutes are not run for nobody; the traces still say why each meter has no value.
            if meters.any_reads or self._context.device_tells_energy:
                await self._run_valid(result_pb2.PASS_ENERGY, round_count)
        finally:
            # Also when the job is cancelled: no thread may go on reading.
            await meters.stop()

    async def _run_valid(self, pass_kind: result_pb2.Pass.ValueType, round_count: int) -> None:
        """Run as many rounds of a pass as are asked for that are valid, within the bounds of repeating."""
        most = round_count + most_repeated(round_count)
        wanted = round_count
        while True:
            await self._run_until(pass_kind, wanted)
            rounds = [result for result in self.results() if result.pass_kind == pass_kind]
            lacking = round_count - len(rounds_that_count(rounds))
            if lacking <= 0 or wanted >= most:
                return
            wanted = min(most, wanted + lacking)

    async def _run_until(self, pass_kind: result_pb2.Pass.ValueType, round_count: int) -> None:
        """Grant rounds 0 to ``round_count`` of a pass that are missing, and wait until all are recorded."""
        missing = partial(self._missing, pass_kind, round_count)

        def enough() -> bool:
            return not missing()

        blocks_known = (len(self._rounds) + len(missing())) * len(self._plan.artifacts)
        self._total_blocks = max(self._total_blocks, blocks_known)
        # A device that let the job go after the last rounds is taken back only for more.
        await self._lease.take(enough)
        granted, finished = self._grant(pass_kind, missing()), False
        while missing():
            news = await self._lease.news(_RECORDING_GRACE_S if finished else None, enough)
            if isinstance(news, RoundRecorded):
                await self._count(news)
            elif isinstance(news, session_pb2.JobProgress):
                await self._progress(news)
            elif isinstance(news, session_pb2.GrantFinished):
                await self._reload()
                following = [index for index in missing() if index > granted]
                finished = news.pass_kind == pass_kind and not following
                if news.pass_kind == pass_kind:
                    granted = self._grant(pass_kind, following)
            elif isinstance(news, Regained):
                finished = False
                await self._reload()
                granted = self._grant(pass_kind, missing())
            elif missing():
                raise JobEnd(
                    control_pb2.JOB_STATE_AGENT_ERROR,
                    "rounds_not_recorded",
                    f"the device finished, but {len(missing())} rounds could not be recorded: the controller's log "
                    "says why; free its disk or submit the job again",
                )

    async def _reload(self) -> None:
        """Take in what was recorded while the link, or its session here, broke between storing and telling."""
        for result in await self._context.reload():
            self._rounds.setdefault((result.pass_kind, result.round_index), result)

    def _missing(self, pass_kind: result_pb2.Pass.ValueType, round_count: int) -> list[int]:
        return [index for index in range(round_count) if (pass_kind, index) not in self._rounds]

    def _grant(self, pass_kind: result_pb2.Pass.ValueType, missing: list[int]) -> int:
        """Grant the first missing rounds up to one that is there, which must not run again; return the last one."""
        if not missing:
            return -1
        count = next((at for at, index in enumerate(missing) if index != missing[0] + at), len(missing))
        self._lease.grant(pass_kind, missing[0], count)
        return missing[0] + count - 1

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

    # -- small things -------------------------------------------------------------------------------------------

    def results(self) -> list[result_pb2.RoundResult]:
        """Return every recorded round, in order."""
        return [self._rounds[key] for key in sorted(self._rounds)]

    async def _note(self, state: control_pb2.JobState.ValueType, message: str, done: int | None = None) -> None:
        blocks_done = len(self._rounds) * len(self._plan.artifacts) if done is None else done
        await self._context.note(state, message, blocks_done, max(self._total_blocks, blocks_done))


def _longest_silence_s(plan: plan_pb2.Plan) -> float:
    """Return how long a device may be silent within a block: until its time-out, on top of the longest timed window."""
    window_ms = max(timed_window_ms(plan), longest_energy_silence_ms(plan.energy))
    return (plan.block_timeout_ms + window_ms) / 1000 + 10


async def _keep_nothing(_attempt: int, _error: common_pb2.ErrorInfo, _message: str) -> None:
    """Nobody asks what failed before."""

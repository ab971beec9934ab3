"""Runs one round: every artifact of a plan once, each in a fresh worker process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from steelyard_agent.cores import NoSuchCoresError
from steelyard_agent.jobs.block_messages import OutputsBlob, block_result
from steelyard_agent.jobs.block_running import Outcome
from steelyard_agent.jobs.device_probe import device_turn
from steelyard_agent.jobs.idle_turn import longest_silence_ms, with_baselines
from steelyard_agent.jobs.pinning import Pinning, placed
from steelyard_agent.jobs.planned_blocks import WITH_OUTPUTS, BlobPaths, block_for
from steelyard_agent.jobs.planned_modes import planned_silence_ms
from steelyard_agent.jobs.retry_policy import Failure, RetryPolicy
from steelyard_agent.jobs.room import RoomWait
from steelyard_agent.jobs.round_gate import RoundGate, hear_nothing
from steelyard_agent.jobs.round_tools import RoundTools
from steelyard_agent.jobs.validity import judged, refused
from steelyard_agent.jobs.whole import run_whole
from steelyard_agent.readings import Reading
from steelyard_agent.state.blob_cache import digest_of
from steelyard_agent.surroundings.contract import BlockSurroundings
from steelyard_agent.validity.admission import Admission
from steelyard_agent.worker.block import Block
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1.plan_pb2 import Plan, PlannedArtifact
from steelyard_protocol.v1.result_pb2 import (
    PASS_ENERGY,
    PASS_EVALUATION,
    PASS_LATENCY,
    PASS_NUMERIC,
    PASS_PREPARATION,
    PASS_ROOFLINE,
    BlockResult,
    Pass,
)

# TensorRT was reported to build for a quarter of an hour on a Jetson Nano, without a word.
_LONGEST_BUILD_S = 30 * 60.0
# The link stays quiet through the others. A build is minutes: a controller that heard nothing would give the device up.
_UNTIMED = frozenset({PASS_EVALUATION, PASS_PREPARATION, PASS_NUMERIC})


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRound:
    """The blocks of a round in the order in which they ran, and the files of their outputs by digest."""

    blocks: tuple[BlockResult, ...]
    output_files: dict[str, Path]


class RoundRunner:
    """Runs the rounds of one job, remembering which artifacts are not worth another try."""

    def __init__(self, *, plan: Plan, paths: BlobPaths, tools: RoundTools) -> None:
        self._plan = plan
        self._paths = paths
        self._tools = tools
        self._policy = RetryPolicy()
        self._began = False

    async def run(
        self,
        pass_kind: Pass.ValueType,
        round_index: int,
        *,
        before_block: Callable[[int, str], Awaitable[None]],
        while_waiting: Callable[[int, str], Awaitable[None]] = hear_nothing,
    ) -> FinishedRound:
        """Run a round; ``before_block(blocks_done, label)`` is awaited between blocks, when the link may be used.

        ``while_waiting(blocks_done, sentence)`` hears what the gate waits for; ``before_block`` comes once more then.
        """
        if not self._began:
            await self._tools.validity.gate.begin()
            self._began = True
        blocks: list[BlockResult] = []
        output_files: dict[str, Path] = {}
        gate = RoundGate(self._plan, pass_kind, self._tools.validity, while_waiting)
        for artifact in self._due(pass_kind, round_index):
            announce = partial(before_block, len(blocks), artifact.label)
            await announce()
            admit = partial(gate.admit, blocks_done=len(blocks))
            room = RoomWait(self._tools.room, partial(while_waiting, len(blocks)))
            blocks.append(await self._run_or_repeat(artifact, pass_kind, output_files, admit, announce, room))
        return FinishedRound(blocks=tuple(blocks), output_files=output_files)

    def _due(self, pass_kind: Pass.ValueType, round_index: int) -> list[PlannedArtifact]:
        if pass_kind == PASS_ROOFLINE:
            return [device_turn(self._plan)]
        order = with_baselines(self._plan, pass_kind, block_order(self._plan, round_index))
        if pass_kind != PASS_PREPARATION:
            return order
        return [artifact for artifact in order if self._tools.preparation.concerns(artifact)]

    async def _run_or_repeat(
        self,
        artifact: PlannedArtifact,
        pass_kind: Pass.ValueType,
        output_files: dict[str, Path],
        admit: Callable[[Sequence[int]], Awaitable[Admission]],
        announce: Callable[[], Awaitable[None]],
        room: RoomWait,
    ) -> BlockResult:
        failure = self._policy.verdict(artifact.label, pass_kind)
        if failure is not None:
            return _not_run(artifact, failure, "not run again: an earlier block of this job ended like this")
        try:
            pinning = self._tools.pin(placed(self._plan, artifact))
        except NoSuchCoresError as error:
            failure = Failure(
                status=BlockStatus.USER_ERROR, reason=error.reason, message=str(error), pass_kind=pass_kind
            )
            return _not_run(artifact, failure, "not run: it could not be pinned as planned")
        admission = await admit(pinning.core_ids)
        if admission.refusal:
            return _held_back(artifact, admission)
        if admission.waited_ms:
            await announce()
        return await self._run(artifact, pass_kind, pinning, output_files, admission, room)

    async def _run(
        self,
        artifact: PlannedArtifact,
        pass_kind: Pass.ValueType,
        pinning: Pinning,
        output_files: dict[str, Path],
        admission: Admission,
        room: RoomWait,
    ) -> BlockResult:
        output_path = self._tools.work_folder / "outputs.npz"
        block = block_for(self._plan, artifact, pass_kind, paths=self._paths, output_path=output_path)
        preparation = self._tools.preparation
        block = await run_whole(partial(preparation.equipped, artifact, replace(block, core_ids=pinning.core_ids)))
        while True:
            async with self._tools.gate.block(timed=pass_kind not in _UNTIMED):
                outcome, around, energy = await self._measure(block, pass_kind, artifact.runtime.environment)
            if outcome.status is not BlockStatus.DISK_FULL or not await room.another(outcome.message):
                break
        around = judged(
            self._tools.validity, self._plan, pass_kind, result=outcome.result, around=around, admission=admission
        )
        outputs, result = None, outcome.result
        if outcome.status is not BlockStatus.OK:
            failure = Failure(
                status=outcome.status, reason=outcome.reason, message=outcome.message, pass_kind=pass_kind
            )
            self._policy.record(artifact.label, failure)
            output_path.unlink(missing_ok=True)
            if pass_kind == PASS_PREPARATION:
                await run_whole(partial(preparation.failed, artifact, block))
        elif pass_kind == PASS_PREPARATION and result is not None:
            result = await run_whole(partial(preparation.settled, artifact, block, result))
        elif pass_kind in WITH_OUTPUTS:
            outputs = await asyncio.to_thread(_take_outputs, output_path)
            output_files[outputs.digest] = output_path.with_name(outputs.digest)
        return block_result(
            artifact,
            status=outcome.status,
            reason=outcome.reason,
            message=outcome.message,
            started_at_unix_ns=outcome.started_at_unix_ns,
            wall_ns=outcome.wall_ns,
            result=result,
            notes=(*outcome.notes, *([pinning.note] if pinning.note else [])),
            around=around,
            readings=energy,
            outputs=outputs,
            least_available_bytes=outcome.least_available_bytes,
        )

    async def _measure(
        self, block: Block, pass_kind: Pass.ValueType, environment: str
    ) -> tuple[Outcome, BlockSurroundings, list[Reading]]:
        # In a thread: a device that asks its programs takes seconds at worst, and the link must not hang meanwhile.
        before = await asyncio.to_thread(self._tools.surroundings.look)
        watch = self._tools.energy_watch(block.core_ids) if pass_kind == PASS_ENERGY else None
        if watch is not None:
            await watch.start()
        outcome: Outcome | None = None
        try:
            outcome = await self._tools.run_block(
                block,
                timeout_s=_timeout_s(self._plan, pass_kind),
                memory_limit_bytes=_memory_limit(self._plan),
                work_dir=self._tools.work_folder,
                # The plan was checked against these names when the job was offered.
                python=self._tools.interpreters[environment] if environment else None,
            )
        finally:
            # Also when the job is cancelled: no sampler may be left behind.
            energy = await watch.stop(outcome.result if outcome is not None else None) if watch is not None else []
        latency_ns = outcome.result.latency_ns if outcome.result is not None else ()
        after = await asyncio.to_thread(self._tools.surroundings.look)
        return outcome, self._tools.surroundings.compare(before, after, latency_ns), energy


def block_order(plan: Plan, round_index: int) -> list[PlannedArtifact]:
    """Return the artifacts in the order of this round: reversed in every odd one (ABBA), which cancels linear drift."""
    artifacts = list(plan.artifacts)
    return artifacts[::-1] if round_index % 2 else artifacts


def _not_run(artifact: PlannedArtifact, failure: Failure, note: str) -> BlockResult:
    return block_result(
        artifact,
        status=failure.status,
        reason=failure.reason,
        message=failure.message,
        started_at_unix_ns=time.time_ns(),
        wall_ns=0,
        notes=(note,),
    )


def _held_back(artifact: PlannedArtifact, admission: Admission) -> BlockResult:
    return block_result(
        artifact,
        status=BlockStatus.NOT_VALID,
        reason=admission.reason,
        message=admission.refusal,
        started_at_unix_ns=time.time_ns(),
        wall_ns=0,
        around=BlockSurroundings(validity=refused(admission)),
    )


def _timeout_s(plan: Plan, pass_kind: Pass.ValueType) -> float:
    """Return how long a worker may be silent: a build, and a timed window with its marker, pass without a sign."""
    if pass_kind == PASS_PREPARATION:
        return max(plan.block_timeout_ms / 1000, _LONGEST_BUILD_S)
    silences_ms = {PASS_ENERGY: longest_silence_ms(plan.energy), PASS_LATENCY: planned_silence_ms(plan)}
    silent_ms = silences_ms.get(pass_kind, 0)
    return (plan.block_timeout_ms + silent_ms) / 1000


def _memory_limit(plan: Plan) -> int | None:
    return plan.memory_limit_bytes if plan.HasField("memory_limit_bytes") else None


def _take_outputs(output_path: Path) -> OutputsBlob:
    """Name the outputs by their digest, so that the next block's do not replace them. Runs in a thread."""
    digest = digest_of(output_path)
    kept = output_path.replace(output_path.with_name(digest))
    return OutputsBlob(digest=digest, size_bytes=kept.stat().st_size)

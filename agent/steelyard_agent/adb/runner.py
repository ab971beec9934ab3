"""Runs blocks on a phone: the BlockRunner of a device on a cable.

A block is one run of ``benchmark_model``: a fresh process and a fresh load, as a worker is. The program draws its
inputs, warms up for a fixed time and prints a summary; what it cannot do (accuracy, energy) is UNSUPPORTED.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from steelyard_agent.adb.adb import Adb, AdbError
from steelyard_agent.adb.binary import PROVIDERS, RUNTIME_NAME, command_line
from steelyard_agent.adb.outcome import check_delegation, explain_failure, placements, worker_result
from steelyard_agent.adb.parse import parse_report
from steelyard_agent.adb.remote import RemoteEnd, end_strays, run_remote
from steelyard_agent.adb.store import PhoneStore
from steelyard_agent.runtimes.tflite_file import is_tflite
from steelyard_agent.state.blob_cache import digest_of
from steelyard_agent.worker.block import (
    KIND_ENERGY,
    KIND_EVALUATION,
    KIND_LATENCY,
    KIND_NUMERIC,
    KIND_OPERATORS,
    KIND_PROBE,
    KIND_ROOFLINE,
    Block,
    WorkerResult,
)
from steelyard_agent.worker.codec import decode_runtime_options
from steelyard_agent.worker.contract import ProviderProbe, RuntimeOptions
from steelyard_agent.worker.ending import Answer, BlockOutcome, Evidence, explain_end
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.modes import SINGLE_STREAM

# The phone's shell adds this to the number of the signal that ended a program.
_KILLED = 128
_NOT_OFFERED = {
    KIND_EVALUATION: (
        "accuracy_not_measured",
        "accuracy is not measured on a cable, as benchmark_model runs no data of ours; run the agent in Termux",
    ),
    KIND_NUMERIC: (
        "outputs_not_told",
        "outputs are not told on a cable, as benchmark_model runs no data of ours; run the agent in Termux",
    ),
    KIND_ENERGY: (
        "energy_not_measured",
        "energy is not measured on a cable, as USB charges the battery; unplug the phone and run the agent in Termux",
    ),
    KIND_OPERATORS: (
        "operators_not_profiled",
        "operators are not profiled on a cable; run the agent in Termux",
    ),
    KIND_ROOFLINE: (
        "device_not_probed",
        "what the phone can do at most is not probed on a cable: nothing of ours runs there; run the agent in Termux",
    ),
}


class PhoneRunner:
    """Runs one block after the other on one phone; ``os_killer`` is asked when a program was killed there."""

    def __init__(
        self,
        adb: Adb,
        binary: Path,
        *,
        os_killer: Callable[[], str] = lambda: "",
        oom_kill_count: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._adb = adb
        self._binary = binary
        self._store = PhoneStore(adb)
        self._os_killer = os_killer
        self._oom_kill_count = oom_kill_count
        # The program prints no version; its bytes are what one night's program is told from the next one's by.
        self._version = f"sha256:{digest_of(binary)[:12]}"

    async def __call__(
        self,
        block: Block,
        *,
        timeout_s: float,
        memory_limit_bytes: int | None,
        work_dir: Path,
        python: Path | None = None,
    ) -> BlockOutcome:
        """Run a block; ``memory_limit_bytes``, ``work_dir`` and ``python`` mean nothing on a phone.

        Raises:
            asyncio.CancelledError: the caller was cancelled; the program on the phone was ended first.
        """
        del memory_limit_bytes, work_dir, python
        started_at_unix_ns, start_ns = time.time_ns(), time.perf_counter_ns()
        try:
            outcome = await self._run(block, timeout_s)
        except BlockFailure as failure:
            outcome = _failed(failure)
        except AdbError as error:
            status = BlockStatus.DISK_FULL if error.reason == "phone_full" else BlockStatus.INTERNAL
            outcome = BlockOutcome(status=status, reason=error.reason, message=str(error))
        return replace(outcome, started_at_unix_ns=started_at_unix_ns, wall_ns=time.perf_counter_ns() - start_ns)

    async def _run(self, block: Block, timeout_s: float) -> BlockOutcome:
        # The device's own turn names no runtime.
        if block.kind != KIND_ROOFLINE and block.runtime_name != RUNTIME_NAME:
            raise BlockFailure(
                BlockStatus.RUNTIME_MISSING,
                "unknown_runtime",
                f"a phone on a cable runs .tflite models by {RUNTIME_NAME} and has no runtime {block.runtime_name!r}; "
                "measure a .tflite model without --runtime, or run the agent in Termux",
            )
        if block.kind == KIND_PROBE:
            return await self._probe()
        if block.kind != KIND_LATENCY:
            reason, sentence = _NOT_OFFERED.get(
                block.kind, ("block_not_offered", f"{RUNTIME_NAME} has no blocks of kind {block.kind!r}")
            )
            raise BlockFailure(BlockStatus.UNSUPPORTED, reason, sentence)
        _refuse_other_modes(block)
        return await self._measure(block, _options(block), timeout_s)

    async def _probe(self) -> BlockOutcome:
        """Send the program and see that the phone can run it; which delegates work, only a model can tell."""
        program = await asyncio.to_thread(self._store.put, self._binary, executable=True)
        end = await run_remote(self._adb, f"{program} --help", timeout_s=30.0)
        if end.status is None:
            raise self._broken(end)
        if end.status >= 126 or "CANNOT LINK" in end.output:
            raise explain_failure(end.output, end.status)
        probes = tuple(asdict(ProviderProbe(name=name)) for name in PROVIDERS)
        return BlockOutcome(
            status=BlockStatus.OK, result=WorkerResult(runtime_version=self._version, provider_probes=probes)
        )

    async def _measure(self, block: Block, options: RuntimeOptions, timeout_s: float) -> BlockOutcome:
        model_path = Path(block.model_path)
        _refuse_other_files(model_path)
        program = await asyncio.to_thread(self._store.put, self._binary, executable=True)
        model = await asyncio.to_thread(self._store.put, model_path, keep=(program,))
        command = command_line(block, options, program=program, model=model, timeout_s=timeout_s)
        if still_running := await asyncio.to_thread(end_strays, self._adb):
            raise AdbError(
                "phone_busy",
                f"a program of an earlier block still runs on the phone {self._adb.serial} ({still_running}); "
                "restart the phone",
            )
        kills_before = await asyncio.to_thread(self._oom_kill_count)
        end = await run_remote(self._adb, command, timeout_s=timeout_s)
        report = parse_report(end.output)
        if end.status != 0 or end.timed_out or not report.is_complete:
            return await self._explain(end, timeout_s, kills_before)
        check_delegation(report, options)
        result = worker_result(report, options, version=self._version, min_sample_count=block.timing.min_sample_count)
        return BlockOutcome(
            status=BlockStatus.OK, result=replace(result, placements=placements(report, options)), notes=_notes(end)
        )

    def _broken(self, end: RemoteEnd) -> AdbError:
        if end.timed_out:
            return AdbError("phone_silent", f"the phone {self._adb.serial} said nothing for too long; restart it")
        return AdbError(
            "phone_gone", f"the connection to the phone {self._adb.serial} broke during a block; plug it in again"
        )

    async def _explain(self, end: RemoteEnd, timeout_s: float, kills_before: int | None) -> BlockOutcome:
        """Say how a run ended that gave no result, by the rules of a worker where a signal or the time ended it."""
        if not end.timed_out and end.status is None:
            raise self._broken(end)
        # The linker gives up by a signal on some Androids.
        by_itself = end.status is not None and (end.status <= _KILLED or "CANNOT LINK EXECUTABLE" in end.output)
        if not end.timed_out and end.status is not None and by_itself:
            return replace(_failed(explain_failure(end.output, end.status)), notes=_notes(end))
        kills, os_killer = None, ""
        if end.status == _KILLED + signal.SIGKILL:
            kills_after = await asyncio.to_thread(self._oom_kill_count)
            if kills_before is not None and kills_after is not None:
                kills = kills_after - kills_before
            os_killer = await asyncio.to_thread(self._os_killer)
        outcome = explain_end(
            Answer(),
            Evidence(
                return_code=_KILLED - (end.status or _KILLED),
                timeout_s=timeout_s if end.timed_out else None,
                oom_kill_count=kills,
                os_killer=os_killer,
                stderr_tail=end.output,
            ),
        )
        return replace(outcome, notes=(*outcome.notes, *_notes(end)))


def _options(block: Block) -> RuntimeOptions:
    try:
        return decode_runtime_options(block.runtime)
    except ValueError as error:
        raise BlockFailure(BlockStatus.USER_ERROR, "runtime_options", f"the runtime's options: {error}") from error


def _refuse_other_modes(block: Block) -> None:
    """Refuse what the program has no flag for, rather than measure something else."""
    if block.mode.name != SINGLE_STREAM:
        raise BlockFailure(
            BlockStatus.UNSUPPORTED,
            "mode_not_offered",
            f"{RUNTIME_NAME} runs one inference after the other and has no mode {block.mode.name}; leave the mode out, "
            "or run the agent in Termux",
        )
    if block.batch_size > 1:
        raise BlockFailure(
            BlockStatus.UNSUPPORTED,
            "batch_not_offered",
            f"{RUNTIME_NAME} takes no batch size; give the inputs their shapes instead, {block.batch_size} first",
        )


def _refuse_other_files(path: Path) -> None:
    """Refuse what is no .tflite file before it travels."""
    if not is_tflite(path):
        raise BlockFailure(
            BlockStatus.INVALID_MODEL,
            "invalid_model",
            f"{path.name[:80]} is no .tflite model, and {RUNTIME_NAME} runs no other; convert it first",
        )


def _failed(failure: BlockFailure) -> BlockOutcome:
    return BlockOutcome(status=failure.status, reason=failure.reason, message=str(failure))


def _notes(end: RemoteEnd) -> tuple[str, ...]:
    return (f"a program may still run on the phone: {end.left_running}",) if end.left_running else ()

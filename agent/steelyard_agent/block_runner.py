"""Runs one block in one fresh worker process and says how it ended. No block can take the agent with it.

The supervisor imports neither numpy nor a runtime. It execs the worker, since forks of a process with live gRPC crash.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import steelyard_agent
from steelyard_agent.interpreters import kept_environment
from steelyard_agent.memory_watch import LeastAvailable, default_limit_bytes, wait_until_over
from steelyard_agent.oom_counters import read_oom_counters
from steelyard_agent.surroundings.android_killers import find_os_killer
from steelyard_agent.within import within
from steelyard_agent.worker.birth import LAUNCH_VARIABLE, SUPERVISOR_VARIABLE
from steelyard_agent.worker.block import Block
from steelyard_agent.worker.codec import encode_block
from steelyard_agent.worker.ending import Answer, BlockOutcome, Evidence, explain_end
from steelyard_agent.worker.failure import BlockStatus
from steelyard_agent.worker.listening import LONGEST_LINE_BYTES, read_answer, read_tail

__all__ = ["BlockOutcome", "run_block"]

# After TERM a worker has this long before KILL.
_TERM_GRACE_S = 2.0
_PIPE_GRACE_S = 5.0


async def run_block(
    block: Block,
    *,
    timeout_s: float,
    memory_limit_bytes: int | None,
    python: Path | None = None,
    work_dir: Path,
    on_phase: Callable[[str], None] | None = None,
) -> BlockOutcome:
    """Run a block in a fresh process and return how it ended; whatever happens, the process is gone afterwards.

    ``timeout_s`` is the longest time without a sign of progress: a phase that ended, or a second's worth of evaluated
    samples. ``memory_limit_bytes`` None means 80 % of the memory that is available at the start. ``python`` is the
    interpreter of another runtime environment. ``on_phase`` hears the worker's phases as they end and must be quick.

    Raises:
        asyncio.CancelledError: the caller was cancelled; the worker was killed first.
    """
    started_at_unix_ns, start_ns = time.time_ns(), time.perf_counter_ns()
    with _temporary_folder(work_dir) as temporary:
        try:
            process = await _launch(python, work_dir, temporary, start_ns)
        except OSError as error:
            outcome = BlockOutcome(
                status=BlockStatus.RUNTIME_MISSING,
                reason="no_interpreter",
                message=f"no worker can be started with {python or sys.executable} in {work_dir}: {error.strerror}"
                + ("; put the interpreter back, or add its environment again" if python is not None else ""),
            )
        else:
            limit_bytes = default_limit_bytes() if memory_limit_bytes is None else memory_limit_bytes
            outcome = await _Supervision(process, limit_bytes, on_phase or _ignore).run(block, timeout_s)
    return replace(outcome, started_at_unix_ns=started_at_unix_ns, wall_ns=time.perf_counter_ns() - start_ns)


class _Supervision:
    """One worker process from its first to its last moment."""

    def __init__(
        self, process: asyncio.subprocess.Process, limit_bytes: int | None, on_phase: Callable[[str], None]
    ) -> None:
        self._process = process
        self._limit_bytes = limit_bytes
        self._on_phase = on_phase
        self._last_sign_s = time.monotonic()
        self._answer = Answer()
        self._least = LeastAvailable()
        self._tail = bytearray()

    async def run(self, block: Block, timeout_s: float) -> BlockOutcome:
        kills_before = read_oom_counters()
        life = asyncio.create_task(self._live(block))
        watch = asyncio.create_task(self._watch())
        timed_out = False
        try:
            timed_out = await self._is_stuck({life, watch}, timeout_s)
            if timed_out:
                self._signal(signal.SIGTERM)
                await asyncio.wait({life}, timeout=_TERM_GRACE_S)
            self._signal(signal.SIGKILL)
            await life
        finally:
            # Also the way out of a cancelled caller: no orphan, no task, no open pipe is left.
            self._signal(signal.SIGKILL)
            watch.cancel()
            await asyncio.wait({life, watch})
        kills = read_oom_counters().since(kills_before)
        killed = life.result() == -signal.SIGKILL and not timed_out and watch.cancelled()
        outcome = explain_end(
            self._answer,
            Evidence(
                return_code=life.result(),
                timeout_s=timeout_s if timed_out else None,
                over_limit_bytes=None if watch.cancelled() else watch.result(),
                limit_bytes=self._limit_bytes,
                oom_kill_count=kills.system,
                group_oom_kill_count=kills.group,
                least_available_bytes=self._least.byte_count,
                # Programs of the device are asked: off the event loop, and only when there is something to explain.
                os_killer=await asyncio.to_thread(find_os_killer) if killed else "",
                stderr_tail=self._tail.decode(errors="replace"),
            ),
        )
        return replace(outcome, least_available_bytes=self._least.byte_count)

    async def _is_stuck(self, ends: set[asyncio.Task[int]], timeout_s: float) -> bool:
        """Wait for an end; true when the worker gave no sign of progress for too long instead."""
        while (left_s := self._last_sign_s + timeout_s - time.monotonic()) > 0:
            ended, _ = await asyncio.wait(ends, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if ended:
                return False
        return True

    def _progressed(self, phase: str) -> None:
        self._last_sign_s = time.monotonic()
        self._on_phase(phase)

    async def _live(self, block: Block) -> int:
        """Feed the worker, hear it out, and return its exit code; standard input stays open while it lives."""
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        with suppress(ConnectionError):
            # A worker that died at birth is explained by its end, not by the pipe.
            stdin.write(encode_block(block).encode() + b"\n")
            await stdin.drain()
        readers = asyncio.gather(
            read_answer(
                stdout, self._answer, on_phase=self._progressed, on_nonsense=partial(self._signal, signal.SIGKILL)
            ),
            read_tail(stderr, self._tail),
        )
        return_code = await self._process.wait()
        # The pipes end with the process, unless something that it started has inherited them.
        with suppress(asyncio.TimeoutError):
            await within(readers, _PIPE_GRACE_S)
        stdin.close()
        # A worker that died before it read leaves an error on its pipe; Python 3.11.2 logs it unless somebody asks.
        with suppress(OSError, asyncio.TimeoutError):
            await within(stdin.wait_closed(), _PIPE_GRACE_S)
        return return_code

    async def _watch(self) -> int:
        limit_bytes = sys.maxsize if self._limit_bytes is None else self._limit_bytes
        return await wait_until_over(self._process.pid, limit_bytes, least=self._least)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the worker and all that it started; its group exists as long as it was not waited for."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


async def _launch(python: Path | None, work_dir: Path, temporary: Path, launch_ns: int) -> asyncio.subprocess.Process:
    environment = {
        **kept_environment(os.environ, is_ours=python is None),
        "TMPDIR": str(temporary),
        LAUNCH_VARIABLE: str(launch_ns),
        SUPERVISOR_VARIABLE: str(os.getpid()),
    }
    if python is not None:
        environment["PYTHONPATH"] = str(_package_link(work_dir))
    return await asyncio.create_subprocess_exec(
        str(python or sys.executable),
        "-m",
        "steelyard_agent.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE_BYTES,
        cwd=work_dir,
        env=environment,
        # A group of its own: an interrupt at the terminal is the supervisor's to handle.
        start_new_session=True,
    )


@contextmanager
def _temporary_folder(work_dir: Path) -> Iterator[Path]:
    """Yield where a worker's temporary files lie, and remove what one that was killed left behind.

    The trace of a profiler is as long as its run, and nobody empties the system's folder on a small device.
    """
    folder = work_dir / "temporary"
    # On a full disk the block says itself what it lacks; Python looks for another folder where this one is missing.
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _package_link(work_dir: Path) -> Path:
    """Return a folder that shows another interpreter this package and nothing else of our environment."""
    folder = work_dir / "worker_path"
    folder.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (folder / "steelyard_agent").symlink_to(Path(steelyard_agent.__file__).parent, target_is_directory=True)
    return folder


def _ignore(_phase: str) -> None:
    return

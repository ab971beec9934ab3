"""Every way in which a worker can end, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from steelyard_agent.block_runner import BlockOutcome, run_block
from steelyard_agent.worker.block import KIND_LATENCY, KIND_OPERATORS, KIND_PROBE, Block, Timing
from steelyard_agent.worker.failure import BlockStatus
from tests.support import models

QUICK = Timing(sample_window_ms=10, warmup_window_ms=2, warmup_cap_ms=10)

# Runtimes that misbehave while they are probed, each in its own way.
_PLUGIN = """
import os, signal, subprocess, sys, time

class Base:
    def version(self):
        return "1.0"

class Abort(Base):
    def probe(self):
        sys.stderr.write("the delegate ran out of luck\\n")
        sys.stderr.flush()
        os.abort()

class Segfault(Base):
    def probe(self):
        os.kill(os.getpid(), signal.SIGSEGV)

class Leave(Base):
    def probe(self):
        os._exit(3)

class Raise(Base):
    def probe(self):
        raise LookupError("a bug of ours")

class Garbage(Base):
    def probe(self):
        # The answer's pipe is the only other descriptor that is a pipe to write to.
        for descriptor in range(3, 20):
            try:
                os.write(descriptor, b"this is no JSON\\n")
            except OSError:
                pass
        time.sleep(600)

class Stubborn(Base):
    def probe(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.stderr.write("ignoring\\n")
        time.sleep(600)

class Environment(Base):
    def version(self):
        return repr(sorted(os.environ))
    def probe(self):
        return ()
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "bad_runtimes-1.0.dist-info"
    info.mkdir()
    names = ("Abort", "Segfault", "Leave", "Raise", "Garbage", "Stubborn", "Environment")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-runtimes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[steelyard_agent.runtimes]\n" + "".join(f"{name.lower()} = bad_runtimes:{name}\n" for name in names)
    )
    (tmp_path / "bad_runtimes.py").write_text(_PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


async def _run(work_dir: Path, block: Block, **changes: object) -> BlockOutcome:
    settings = {"timeout_s": 60.0, "memory_limit_bytes": None, "work_dir": work_dir} | changes
    return await run_block(block, **settings)


def _measure(model_path: Path) -> Block:
    return Block(kind=KIND_LATENCY, runtime_name="onnxruntime", model_path=str(model_path), timing=QUICK)


def _probe(runtime_name: str) -> Block:
    return Block(kind=KIND_PROBE, runtime_name=runtime_name)


def _child_pids() -> set[int]:
    """Return the processes that this one has started and that still run."""
    return {child.pid for child in psutil.Process().children()}


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def test_a_good_block_gives_its_result(tmp_path: Path) -> None:
    phases: list[str] = []
    outcome = await _run(tmp_path, _measure(models.linear_model(tmp_path / "m.onnx")), on_phase=phases.append)
    assert (outcome.status, outcome.reason, outcome.message, outcome.notes) == (BlockStatus.OK, "", "", ())
    assert outcome.result is not None
    assert 0 < outcome.result.process_start_ns < outcome.wall_ns
    assert outcome.started_at_unix_ns > 0
    assert phases == ["imported", "loaded", "first_run", "steady"]


async def test_a_failure_of_the_worker_is_passed_on(tmp_path: Path) -> None:
    outcome = await _run(tmp_path, _measure(tmp_path / "gone.onnx"))
    assert (outcome.status, outcome.reason) == (BlockStatus.USER_ERROR, "no_such_model")
    assert outcome.result is None


async def test_a_model_that_never_returns_times_out(tmp_path: Path) -> None:
    outcome = await _run(tmp_path, _measure(models.endless_model(tmp_path / "m.onnx")), timeout_s=1.5)
    assert (outcome.status, outcome.reason) == (BlockStatus.TIMEOUT, "block_timeout")
    assert "1.5 s" in outcome.message
    assert "--block-timeout" in outcome.message


async def test_a_worker_that_is_killed_while_its_operators_are_profiled_leaves_no_trace_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "system"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    block = replace(_measure(models.endless_model(tmp_path / "m.onnx")), kind=KIND_OPERATORS)
    running = asyncio.create_task(_run(work_dir, block, timeout_s=1.5))
    await _until(lambda: any(work_dir.rglob("profile*")))
    assert (await running).status is BlockStatus.TIMEOUT
    assert [*elsewhere.iterdir(), *work_dir.iterdir()] == []


async def test_a_worker_that_ignores_term_is_killed(
    tmp_path: Path, plugin: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steelyard_agent.block_runner._TERM_GRACE_S", 0.1)
    outcome = await _run(tmp_path, _probe("stubborn"), timeout_s=1.5)
    assert outcome.status is BlockStatus.TIMEOUT


async def test_a_model_that_allocates_without_end_is_stopped_at_the_limit(tmp_path: Path) -> None:
    limit_bytes = 300 * 1024 * 1024
    outcome = await _run(tmp_path, _measure(models.hungry_model(tmp_path / "m.onnx")), memory_limit_bytes=limit_bytes)
    assert (outcome.status, outcome.reason) == (BlockStatus.OUT_OF_MEMORY, "memory_limit")
    assert str(limit_bytes) in outcome.message
    assert "seen from outside" in outcome.notes[0]


async def test_a_worker_killed_from_outside_is_said_to_be(tmp_path: Path) -> None:
    before = _child_pids()
    loaded = asyncio.Event()
    task = asyncio.create_task(
        _run(tmp_path, _measure(models.endless_model(tmp_path / "m.onnx")), on_phase=lambda _phase: loaded.set())
    )
    await loaded.wait()
    (pid,) = _child_pids() - before
    os.kill(pid, signal.SIGKILL)
    outcome = await task
    assert outcome.status in (BlockStatus.KILLED_UNKNOWN, BlockStatus.OUT_OF_MEMORY)
    assert outcome.notes


@pytest.mark.parametrize(
    ("runtime_name", "status", "part"),
    [
        ("abort", BlockStatus.CRASHED, "SIGABRT (last phase that it finished: imported): the delegate ran out of luck"),
        ("segfault", BlockStatus.CRASHED, "SIGSEGV"),
        ("leave", BlockStatus.INTERNAL, "exit status 3"),
        ("raise", BlockStatus.INTERNAL, "LookupError: a bug of ours"),
        ("garbage", BlockStatus.INTERNAL, "answered nonsense"),
        ("magic", BlockStatus.RUNTIME_MISSING, "known here"),
    ],
)
async def test_a_runtime_that_misbehaves_ends_its_block_only(
    tmp_path: Path, plugin: None, runtime_name: str, status: BlockStatus, part: str
) -> None:
    outcome = await _run(tmp_path, _probe(runtime_name))
    assert outcome.status is status
    assert part in outcome.message


async def test_a_cancelled_caller_leaves_no_worker_behind(tmp_path: Path) -> None:
    before = _child_pids()
    task = asyncio.create_task(_run(tmp_path, _measure(models.endless_model(tmp_path / "m.onnx"))))
    await asyncio.wait_for(_until(lambda: _child_pids() > before), timeout=60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _child_pids() == before


async def test_a_worker_dies_with_its_supervisor(tmp_path: Path) -> None:
    model = models.endless_model(tmp_path / "m.onnx")
    script = (
        "import asyncio, psutil\n"
        "from pathlib import Path\n"
        "from steelyard_agent.block_runner import run_block\n"
        "from steelyard_agent.worker.block import Block\n"
        f"block = Block(kind='latency', runtime_name='onnxruntime', model_path={str(model)!r})\n"
        "def say(phase):\n"
        "    print(psutil.Process().children()[0].pid, flush=True)\n"
        f"asyncio.run(run_block(block, timeout_s=600, memory_limit_bytes=None, work_dir=Path({str(tmp_path)!r}),\n"
        "            on_phase=say))\n"
    )
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert supervisor.stdout is not None
    worker_pid = int(await supervisor.stdout.readline())
    supervisor.kill()
    await supervisor.wait()

    def is_gone() -> bool:
        try:
            return psutil.Process(worker_pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await asyncio.wait_for(_until(is_gone), timeout=30)


async def test_secrets_of_the_supervisor_stay_with_it(
    tmp_path: Path, plugin: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEELYARD_TEST_TOKEN", "secret")
    monkeypatch.setenv("GRPC_VERBOSITY", "error")
    outcome = await _run(tmp_path, _probe("environment"))
    assert outcome.result is not None
    assert "PATH" in outcome.result.runtime_version
    assert "STEELYARD_TEST_TOKEN" not in outcome.result.runtime_version
    assert "GRPC_VERBOSITY" not in outcome.result.runtime_version


async def test_another_interpreter_sees_this_package(tmp_path: Path) -> None:
    for _ in range(2):
        outcome = await _run(tmp_path, _probe("onnxruntime"), python=Path(sys.executable))
        assert outcome.status is BlockStatus.OK
    assert [item.name for item in (tmp_path / "worker_path").iterdir()] == ["steelyard_agent"]


async def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    outcome = await _run(tmp_path, _probe("onnxruntime"), python=Path("/nowhere/python"))
    assert (outcome.status, outcome.reason) == (BlockStatus.RUNTIME_MISSING, "no_interpreter")
    assert "/nowhere/python" in outcome.message

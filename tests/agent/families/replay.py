"""A whole measurement on a fake device, in no time: a trace drives the tree while the sampler's own loop reads it.

Only time, the worker and the sampler's process are fakes. A trace says what the device does at each second; the answer
is known from the same trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from steelyard_agent.jobs import energy
from steelyard_agent.jobs.energy import SamplerWatch
from steelyard_agent.jobs.planned_blocks import BlobPaths
from steelyard_agent.jobs.rounds import RoundRunner
from steelyard_agent.meters.access import pi_pmic, termux_battery
from steelyard_agent.sampler.loop import run_loop
from steelyard_agent.sampler.process import Recording, parse_recording
from steelyard_agent.sampler.protocol import READY_LINE, SamplerOrder
from steelyard_agent.surroundings.android import AndroidCircumstances
from steelyard_agent.surroundings.device import DeviceSurroundings
from steelyard_agent.worker.block import KIND_IDLE, Block, WorkerResult
from steelyard_protocol.v1.result_pb2 import PASS_ENERGY, BlockResult
from tests.agent.jobs.fakes import FakeOutcome, FakeWorkers, plan_of, round_tools
from tests.support.fake_controller import digest_of
from tests.support.fake_sysfs import FakeSysfs

LEAD_S = 5.0
PERIOD_MS = 50
MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a device does: ``drive(tree, seconds)`` is called as time goes by, from 0 to the end of the sampling.

    The window begins after ``LEAD_S`` and lasts ``window_s``; ``latency_ns`` are the samples that the worker tells.
    """

    drive: Callable[[FakeSysfs, float], None]
    window_s: float = 40.0
    inference_count: int = 2000
    latency_ns: tuple[int, ...] = (20 * MILLISECOND_NS,) * 40

    @property
    def end_s(self) -> float:
        return LEAD_S + self.window_s + 2.0


class ReplaySampler:
    """Stands where the sampler's process stands; ``run`` is that process's life, from the first read to the last."""

    def __init__(self, tree: FakeSysfs, order: SamplerOrder) -> None:
        self._tree, self._order = tree, order
        self._said: list[str] = []

    def run(self, trace: Trace) -> None:
        clock = self._tree.clock
        start_ns = clock.now_ns

        def wait_for_stop(seconds: float) -> bool:
            clock.now_ns += round(min(seconds, 0.5) * 1e9)
            passed_s = (clock.now_ns - start_ns) / 1e9
            trace.drive(self._tree, passed_s)
            return passed_s >= trace.end_s

        run_loop(
            self._order,
            system=self._tree.system,
            wait_for_stop=wait_for_stop,
            emit=self._said.append,
            rng=Random(7),
        )

    async def stop(self) -> Recording:
        return parse_recording("".join(self._said).removeprefix(f"{READY_LINE}\n"), order=self._order)


async def measure(tree: FakeSysfs, trace: Trace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> BlockResult:
    """Return the block of an energy round on the fake device, as it goes to the controller."""
    (block,) = await measure_round(tree, trace, folder, monkeypatch)
    return block


async def measure_round(
    tree: FakeSysfs, trace: Trace, folder: Path, monkeypatch: pytest.MonkeyPatch, *, idle: Trace | None = None
) -> list[BlockResult]:
    """Return the blocks of an energy round; with ``idle`` it has baselines in which the device does that."""
    trace.drive(tree, 0.0)
    samplers: list[ReplaySampler] = []

    async def start_sampler(root: Path, sources, *, avoid_core_ids=()) -> ReplaySampler:  # type: ignore[no-untyped-def]
        order = SamplerOrder(system_root=str(root), sources=tuple(sources), period_ms=PERIOD_MS)
        samplers.append(ReplaySampler(tree, order))
        return samplers[-1]

    def work(block: Block) -> FakeOutcome:
        rests = block.kind == KIND_IDLE
        mine = idle if rests and idle is not None else trace
        start_ns = tree.clock.now_ns
        samplers[-1].run(mine)
        window_start_ns = start_ns + round(LEAD_S * 1e9)
        return FakeOutcome(
            result=WorkerResult(
                runtime_version="1.22.0",
                latency_ns=() if rests else mine.latency_ns,
                sample_count=0 if rests else mine.inference_count,
                window_start_ns=window_start_ns,
                window_end_ns=window_start_ns + round(mine.window_s * 1e9),
                providers=() if rests else ("CPUExecutionProvider",),
                is_idle=rests,
            )
        )

    monkeypatch.setattr(energy, "start_sampler", start_sampler)
    # A program answers at once here: a thread of its own for it would live in real time.
    for access in (pi_pmic, termux_battery):
        monkeypatch.setattr(access, "RUNS_PROGRAM", False)
    return await _round(tree, work, folder, idle_ms=round(idle.window_s * 1000) if idle is not None else 0)


async def _round(
    tree: FakeSysfs, work: Callable[[Block], FakeOutcome], folder: Path, *, idle_ms: int
) -> list[BlockResult]:
    (folder / digest_of(b"A")).write_bytes(b"A")
    tools = replace(
        round_tools(FakeWorkers(behave=work), folder / "work"),
        surroundings=DeviceSurroundings(tree.system, sources=(AndroidCircumstances(tree.system),)),
        energy_watch=lambda cores: SamplerWatch(tree.system, cores),
    )
    paths = BlobPaths(by_digest={digest_of(b"A"): folder / digest_of(b"A")})
    plan = plan_of(b"A")
    plan.energy.idle_ms = idle_ms
    runner = RoundRunner(plan=plan, paths=paths, tools=tools)

    async def nobody_listens(_blocks_done: int, _label: str) -> None:
        """The link is not part of this."""

    finished = await runner.run(PASS_ENERGY, 0, before_block=nobody_listens)
    return list(finished.blocks)


def add_ticks(tree: FakeSysfs, policy: str, seconds_by_khz: dict[int, float]) -> None:
    """Add time to a policy's time_in_state."""
    file = f"/sys/devices/system/cpu/cpufreq/{policy}/stats/time_in_state"
    lines = [line.split() for line in tree.system.path(file).read_text("utf-8").splitlines()]
    ticks = {int(khz): int(time) for khz, time in lines}
    for khz, seconds in seconds_by_khz.items():
        ticks[khz] += round(seconds * 100)
    tree.write(file, "".join(f"{khz} {time}\n" for khz, time in ticks.items()))

import asyncio
import os
import time
from pathlib import Path

import pytest

from steelyard_agent.jobs import energy
from steelyard_agent.jobs.energy import SamplerWatch
from steelyard_agent.meters.contract import System
from steelyard_agent.readings import Status
from steelyard_agent.sampler.process import Sampler, SamplerError
from steelyard_agent.worker.block import WorkerResult
from tests.support.fake_sysfs import FakeSysfs

RAPL = "/sys/class/powercap/intel-rapl:0"


def with_counter(root: Path) -> System:
    tree = FakeSysfs(root)
    for name, text in (("name", "package-0"), ("energy_uj", "1000000"), ("max_energy_range_uj", "262143328850")):
        tree.write(f"{RAPL}/{name}", text + "\n")
    return System(root=root, clock_ns=time.monotonic_ns)


async def watched(system: System, result: WorkerResult | None) -> list[str]:
    watch = SamplerWatch(system)
    await watch.start()
    readings = await watch.stop(result)
    assert {reading.status for reading in readings} == {Status.UNAVAILABLE}
    return [reading.reason for reading in readings]


def window(length_ns: int) -> WorkerResult:
    now = time.monotonic_ns()
    return WorkerResult(runtime_version="1", window_start_ns=now, window_end_ns=now + length_ns, sample_count=5)


async def test_without_a_sensor_energy_says_what_was_looked_at(tmp_path: Path) -> None:
    reasons = await watched(System(root=tmp_path, clock_ns=time.monotonic_ns), window(10))
    assert "no sensor; looked at /sys/class/powercap" in reasons[0]


async def test_a_counter_that_moves_gives_joules_per_inference(tmp_path: Path) -> None:
    system = with_counter(tmp_path)
    watch = SamplerWatch(system)
    await watch.start()
    start_ns = time.monotonic_ns()
    counter = os.open(system.path(f"{RAPL}/energy_uj"), os.O_WRONLY)
    # The sampler needs samples on both sides of the window: ten of its periods.
    for step in range(10):
        os.pwrite(counter, f"{1_000_000 + step * 100_000}\n".encode(), 0)
        await asyncio.sleep(0.02)
    os.close(counter)
    end_ns = time.monotonic_ns() - 60_000_000
    result = WorkerResult(
        runtime_version="1", window_start_ns=start_ns + 60_000_000, window_end_ns=end_ns, sample_count=4
    )
    readings = await watch.stop(result)
    assert readings[0].name == "energy_per_inference"
    assert readings[0].status is Status.MEASURED
    assert readings[0].value is not None
    assert 0 < readings[0].value < 0.9 / 4


@pytest.mark.parametrize(
    ("result", "reason"),
    [(None, "the block ended before its window"), (window(0), "the block's window lasts 0 ns")],
)
async def test_a_block_without_a_window_has_no_energy(tmp_path: Path, result: WorkerResult | None, reason: str) -> None:
    assert await watched(with_counter(tmp_path), result) == [reason]


async def test_a_sampler_that_does_not_start_costs_the_energy_not_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_arguments: object, **_options: object) -> Sampler:
        raise SamplerError("sampler_silent", "the sampler said nothing")

    monkeypatch.setattr(energy, "start_sampler", refuse)
    assert await watched(with_counter(tmp_path), window(10)) == ["the sampler said nothing"]

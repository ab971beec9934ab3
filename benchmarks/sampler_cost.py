"""What each thing that watches a block adds to the model that is measured in it, beside the same model alone."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench_models import BenchModel, bench_models
from benchmarks.figures import Figure, geometric_mean, mean, standing, too_few_text, verdict_text
from benchmarks.latency_block import RUNTIME, run_latency_block
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard_agent import block_runner
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power import find_power_sources
from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.sampler.process import DEFAULT_PERIOD_MS, start_sampler
from steelyard_agent.surroundings.device import DeviceSurroundings

NAME = "sampler_cost"
ROUND_COUNT = 30
# Long enough for the slowest sampler to read within most blocks.
WINDOW_MS = 1000
SETTINGS = {"window_ms": WINDOW_MS, "sampler_period_ms": DEFAULT_PERIOD_MS, **RUNTIME}
# The target of the project, and the fewest rounds that may decide it.
MOST_RATIO = 1.01
LEAST_ROUND_COUNT = 20
# A faster model is a test of caches, not of cost.
_MODEL_NAMES = ("fashion_resnet", "conv net")

_PMIC = """#!/bin/sh
echo ' 3V7_WL_SW_A current(0)=0.09466522A
  VDD_CORE_A current(7)=1.11625000A
 3V7_WL_SW_V volt(8)=3.62925200V
  VDD_CORE_V volt(15)=0.74944980V'
"""
_TERMUX = """#!/bin/sh
echo '{"plugged": "UNPLUGGED", "status": "DISCHARGING", "voltage": 4012, "current": -412345}'
"""
_FILES = {
    "/sys/class/powercap/intel-rapl:0/name": "package-0",
    "/sys/class/powercap/intel-rapl:0/energy_uj": "142857142857",
    "/sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850",
    "/sys/class/hwmon/hwmon0/name": "ina3221",
    **{
        f"/sys/class/hwmon/hwmon0/{name}": text
        for channel, label in ((1, "VDD_GPU_SOC"), (2, "VDD_CPU_CV"), (3, "VIN_SYS_5V0"))
        for name, text in (
            (f"in{channel}_label", label),
            (f"in{channel}_input", "19880"),
            (f"curr{channel}_input", "720"),
        )
    },
    "/proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """One thing that watches: the accesses of the sources that a sampler reads, or the agent's own memory watch."""

    name: str
    accesses: frozenset[str] = frozenset()
    memory: bool = False


ALONE = "alone"
WATCHERS = (
    Watcher(name=ALONE),
    Watcher(name="files: a counter, three rails and their sum", accesses=frozenset({"files", "file-pairs"})),
    Watcher(name="a program, ten times a second", accesses=frozenset({"pi-pmic"})),
    Watcher(name="a program, every two seconds", accesses=frozenset({"termux-battery"})),
    Watcher(name="memory watch", memory=True),
)


async def measure(round_count: int) -> None:
    """Run rounds until ``round_count`` are in the results file; the order is reversed every second round."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        work = Path(folder)
        models = [model for model in bench_models(work) if model.name in _MODEL_NAMES]
        with _fake_device(work) as sources:
            for index in counted(NAME, len(results.rounds(key)), round_count):
                blocks = {model.name: await _blocks(model, sources, work, index) for model in models}
                results.append(key, {"blocks": blocks, "look_ms": _look_ms()})


def launch_order(index: int) -> tuple[Watcher, ...]:
    """Return the order of a round: forwards, then backwards, which cancels linear drift."""
    return WATCHERS if index % 2 == 0 else WATCHERS[::-1]


async def _blocks(
    model: BenchModel, sources: tuple[PowerSource, ...], work: Path, index: int
) -> dict[str, dict[str, float]]:
    figures = {}
    for watcher in launch_order(index):
        watched = tuple(source for source in sources if source.access in watcher.accesses)
        async with _watched(watched, work), _memory_watch(on=watcher.memory):
            _, result = await run_latency_block(model, window_ms=WINDOW_MS, work_dir=work)
        samples = list(result.latency_ns)
        figures[watcher.name] = {"mean_ns": statistics.fmean(samples), "p50_ns": statistics.median(samples)}
    return figures


@asynccontextmanager
async def _watched(sources: tuple[PowerSource, ...], root: Path) -> AsyncIterator[None]:
    sampler = await start_sampler(root, sources)
    try:
        yield
    finally:
        await sampler.stop()


@asynccontextmanager
async def _memory_watch(*, on: bool) -> AsyncIterator[None]:
    """Run blocks without the watch that every block has, unless it is what is measured."""
    usual = block_runner.wait_until_over
    if not on:
        block_runner.wait_until_over = _never_over
    try:
        yield
    finally:
        block_runner.wait_until_over = usual


async def _never_over(pid: int, limit_bytes: int, **_others: object) -> int:
    await asyncio.Event().wait()
    raise AssertionError(f"an event that nobody sets was set: {pid}, {limit_bytes}")


@contextmanager
def _fake_device(root: Path) -> Iterator[tuple[PowerSource, ...]]:
    """Write a device of every kind of source and put its programs first on the path."""
    for absolute, text in _FILES.items():
        path = root / absolute.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    programs = root / "programs"
    programs.mkdir()
    for name, text in (("vcgencmd", _PMIC), ("termux-battery-status", _TERMUX)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    usual = os.environ["PATH"]
    os.environ["PATH"] = f"{programs}{os.pathsep}{usual}"
    try:
        yield find_power_sources(System(root=root, clock_ns=time.monotonic_ns)).sources
    finally:
        os.environ["PATH"] = usual


def _look_ms() -> float:
    """Return the milliseconds of one look at the surroundings of this machine."""
    surroundings = DeviceSurroundings(System(clock_ns=time.monotonic_ns))
    surroundings.look()
    start_ns = time.perf_counter_ns()
    surroundings.look()
    return (time.perf_counter_ns() - start_ns) / 1e6


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    names = list(run.rounds[0]["blocks"])
    ratios = {
        (watcher.name, model): _ratio(run.rounds, model, watcher.name, "mean_ns")
        for watcher in WATCHERS[1:]
        for model in names
    }
    return Table(
        title="What watching costs",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "Latency of one model in blocks of 1 s of samples, one thread: alone, with the energy sampler beside it at "
            f"its default of {DEFAULT_PERIOD_MS} ms over files (a RAPL counter, three INA3221 rails, their sum), over "
            "a program that is started ten times a second as vcgencmd is, over one that is started every two seconds "
            "as termux-battery-status is, and with the agent's watch over the worker's memory. The files and programs "
            "are stand-ins: what a sensor's own bus takes is not in the figures. Every block is a fresh process, a "
            "round holds all of them, its order reversed every second time. Ratio of watched over alone, paired by "
            "round; 95 % intervals are t over rounds, on the logs. The energy sampler runs in the energy pass alone, "
            "never while latency is measured; looks at heat and frequency happen before and after a block, outside of "
            "it."
        ),
        run=run,
        head=["watched by", *(f"{model}, {what} (95 %)" for model in names for what in ("mean", "p50"))],
        rows=[_row(run.rounds, watcher.name, names) for watcher in WATCHERS[1:]],
        verdicts=[
            *(verdict(f"{name}, {model}", ratio, len(run.rounds)) for (name, model), ratio in ratios.items()),
            f"One look at the surroundings takes {mean([one['look_ms'] for one in run.rounds]).text(2, 'ms')} here.",
        ],
    )


def verdict(name: str, ratio: Figure, round_count: int) -> str:
    """Return one sentence: whether less than 1 % is added."""
    if round_count < LEAST_ROUND_COUNT:
        return too_few_text(name, "below 1 % added", round_count, LEAST_ROUND_COUNT)
    return verdict_text(name, "below 1 % added", standing(ratio, least=0.0, most=MOST_RATIO), ratio.text(4))


def _row(rounds: tuple[dict[str, Any], ...], name: str, models: list[str]) -> list[str]:
    return [name, *(_ratio(rounds, model, name, key).text(4) for model in models for key in ("mean_ns", "p50_ns"))]


def _ratio(rounds: tuple[dict[str, Any], ...], model: str, name: str, key: str) -> Figure:
    blocks = [one["blocks"][model] for one in rounds]
    return geometric_mean([block[name][key] / block[ALONE][key] for block in blocks])

"""An idle, connected agent beside bare Python that imports gRPC, protobuf and psutil and holds one connection."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.counting_relay import CountingRelay
from benchmarks.figures import Figure, geometric_mean, mean, standing, verdict_text
from benchmarks.process_figures import cpu_s, memory_bytes
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard.control.controller import Controller
from steelyard.settings import Settings
from steelyard_agent.link.channel import CHANNEL_OPTIONS

NAME = "idle_agent"
ROUND_COUNT = 5
WINDOW_S = 60.0
# The agent probes the runtimes in a worker of their own after it has started; that is not idling.
SETTLE_S = 10.0
# The targets of the project: memory as a ratio over bare Python, CPU as a share of one core.
MOST_RATIO = 1.10
MOST_CORE_SHARE = 0.001
_WHO = ("agent", "bare")
_BARE = """
import ast, asyncio, sys
import grpc.aio, psutil, google.protobuf
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc, common_pb2, plan_pb2, result_pb2, session_pb2
from steelyard_protocol.v1 import session_pb2_grpc
async def main():
    channel = grpc.aio.insecure_channel(sys.argv[1], options=ast.literal_eval(sys.argv[2]))
    await channel.channel_ready()
    await asyncio.sleep(86400)
asyncio.run(main())
"""


class IdleError(Exception):
    """A process that should idle has ended or never connected."""


async def measure(round_count: int, *, window_s: float = WINDOW_S) -> None:
    """Run rounds until ``round_count`` are in the results file; both idle side by side, the first one in turn."""
    results, key = ResultsFile(NAME), this_key({"settle_s": SETTLE_S, "window_s": window_s, "relay": True})
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        work = Path(folder)
        controller = Controller(Settings(state_directory=work / "state", agent_listen="127.0.0.1:0"))
        await controller.start()
        try:
            for index in counted(NAME, len(results.rounds(key)), round_count):
                results.append(key, await _round(controller.agent_address, work, index, window_s))
        finally:
            await controller.stop()


async def _round(address: str, work: Path, index: int, window_s: float) -> dict[str, dict[str, float]]:
    order = _WHO if index % 2 == 0 else _WHO[::-1]
    async with AsyncExitStack() as stack:
        relays = {who: await stack.enter_async_context(CountingRelay(address)) for who in order}
        idlers = {who: await stack.enter_async_context(_idler(who, relays[who].address, work)) for who in order}
        await asyncio.sleep(SETTLE_S)
        before = {who: (_cpu_s(who, process), relays[who].passed_bytes) for who, process in idlers.items()}
        await asyncio.sleep(window_s)
        return {
            who: {
                "cpu_s": _cpu_s(who, process) - before[who][0],
                "wire_bytes": relays[who].passed_bytes - before[who][1],
                **memory_bytes(process.pid),
            }
            for who, process in idlers.items()
        }


def _cpu_s(who: str, process: asyncio.subprocess.Process) -> float:
    if process.returncode is not None:
        raise IdleError(f"the {who} process ended with {process.returncode} where it should idle")
    return cpu_s(process.pid)


@asynccontextmanager
async def _idler(who: str, address: str, work: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    if who == "agent":
        words = ["-m", "steelyard_agent", "run", "--controller", address, "--state-directory", str(work / "agent")]
    else:
        words = ["-c", _BARE, address, repr(CHANNEL_OPTIONS)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    window_s = run.settings["window_s"]
    rows = [_memory_row(name, key, run.rounds) for name, key in _MEMORY if key in run.rounds[0]["bare"]]
    if "wire_bytes" in run.rounds[0]["agent"]:
        rows.append(_wire_row(run.rounds, window_s))
    minute = 60 / window_s * 1000
    bare, agent = ([one[who]["cpu_s"] * minute for one in run.rounds] for who in ("bare", "agent"))
    more = mean([mine - other for mine, other in zip(agent, bare, strict=True)])
    return Table(
        title="An idle agent",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "`steelyard-agent run`, connected to a controller (heartbeats every 15 s), beside bare Python that imports "
            "gRPC, protobuf, the same stubs and psutil and holds one idle asyncio channel with the same options to the "
            f"same controller. Both idle at the same time, {window_s:g} s after {run.settings['settle_s']:g} s to "
            "settle, fresh processes each round, the first one in turn. Memory at the window's end, children counted; "
            "CPU from the scheduler's nanoseconds; bytes on the wire both ways together, counted by a relay, without "
            "TLS and without the headers of TCP and IP. No job has come yet: after the first one an agent holds what "
            "running took. Paired by round; 95 % intervals are t over rounds."
        ),
        run=run,
        head=["figure", "bare Python", "agent", "ratio (95 %)", "difference (95 %)"],
        rows=[
            *rows,
            ["CPU in a minute", _value(bare, "ms"), _value(agent, "ms"), _ratio_text(agent, bare), more.text(1, "ms")],
        ],
        verdicts=[
            *(memory_verdict(name, _ratios(key, run.rounds)) for name, key in _MEMORY if key in run.rounds[0]["bare"]),
            cpu_verdict([one["agent"]["cpu_s"] / window_s for one in run.rounds]),
        ],
    )


_MEMORY = (("unique set", "uss_bytes"), ("proportional set", "pss_bytes"), ("resident set", "rss_bytes"))


def memory_verdict(name: str, ratios: list[float]) -> str:
    """Return one sentence: whether the agent's memory is at most 1.10 of that of bare Python, by round."""
    ratio = geometric_mean(ratios)
    return verdict_text(name, "at most 1.10", standing(ratio, least=0.0, most=MOST_RATIO), ratio.text(3))


def cpu_verdict(core_shares: list[float]) -> str:
    """Return one sentence: whether the agent uses at most 0.1 % of one core, by round."""
    share = mean(core_shares)
    percent = mean([100 * one for one in core_shares])
    return verdict_text(
        "CPU of the agent",
        "at most 0.1 % of a core",
        standing(share, least=0.0, most=MOST_CORE_SHARE),
        percent.text(3, "%"),
    )


def _ratios(key: str, rounds: tuple[dict[str, Any], ...]) -> list[float]:
    return [one["agent"][key] / one["bare"][key] for one in rounds]


def _wire_row(rounds: tuple[dict[str, Any], ...], window_s: float) -> list[str]:
    hour = 3600 / window_s / 1024
    bare, agent = ([one[who]["wire_bytes"] * hour for one in rounds] for who in ("bare", "agent"))
    more = mean([mine - other for mine, other in zip(agent, bare, strict=True)])
    return [
        "bytes on the wire in an hour",
        _value(bare, "KiB"),
        _value(agent, "KiB"),
        _ratio_text(agent, bare),
        more.text(1, "KiB"),
    ]


def _memory_row(name: str, key: str, rounds: tuple[dict[str, Any], ...]) -> list[str]:
    bare, agent = ([one[who][key] / 2**20 for one in rounds] for who in ("bare", "agent"))
    return [
        name,
        _value(bare, "MiB"),
        _value(agent, "MiB"),
        _ratio_text(agent, bare),
        _more_mib(key, rounds).text(2, "MiB"),
    ]


def _more_mib(key: str, rounds: tuple[dict[str, Any], ...]) -> Figure:
    return mean([(one["agent"][key] - one["bare"][key]) / 2**20 for one in rounds])


def _value(values: list[float], unit: str) -> str:
    return f"{mean(values).value:.1f} {unit}"


def _ratio_text(agent: list[float], bare: list[float]) -> str:
    if min(*agent, *bare) <= 0:
        return "-"
    return geometric_mean([mine / other for mine, other in zip(agent, bare, strict=True)]).text(3)

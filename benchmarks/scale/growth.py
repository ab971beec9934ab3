"""A controller with 100, 1,000 and 10,000 attached agents, beside bare grpc.aio with the same ones."""

from __future__ import annotations

import asyncio
import resource
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process_figures import cpu_s, memory_bytes
from benchmarks.progress import counted, say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.scale.line_process import LineProcess, LineProcessError
from benchmarks.scale.serving import LABEL
from benchmarks.table import Table

NAME = "scale"
# A round is one of these sizes, one after the other.
AGENT_COUNTS = (100, 1_000, 10_000)
ROUND_COUNT = len(AGENT_COUNTS)
CLIENT_COUNT = 4
# Twice the interval of heartbeats, so that each agent gives two.
IDLE_S = 30.0
_SETTLE_S = 3.0
_ONE_COUNT = 200
_ALL_REPEATS = 3
_RESULT_COUNT = 2_000
_MOST_RESULT_AGENTS = 500
_PATIENCE_S = 300.0
_SUBJECTS = ("steelyard", "bare")
SETTINGS = {"agent_counts": list(AGENT_COUNTS), "clients": CLIENT_COUNT, "idle_s": IDLE_S}


async def measure(round_count: int) -> None:
    """Run rounds until ``round_count`` are in the results file, each with the next number of agents."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    _allow_many_files()
    for index in counted(NAME, len(results.rounds(key)), round_count):
        results.append(key, await one_round(AGENT_COUNTS[index % len(AGENT_COUNTS)], idle_s=IDLE_S))


async def one_round(agent_count: int, *, idle_s: float) -> dict[str, Any]:
    """Return the figures of both with so many agents; the certificates are the same ones."""
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        state = Path(folder) / "state"
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(_ended("benchmarks.scale.clients")) for _ in range(CLIENT_COUNT)]
            figures: dict[str, Any] = {"agents": agent_count}
            controller_id = ""
            for subject in _SUBJECTS:
                say(f"{NAME}: {agent_count} agents, {subject}")
                async with _ended("benchmarks.scale.serving", subject, str(state)) as server:
                    if subject == "steelyard":
                        told = await server.ask("start", timeout_s=_PATIENCE_S)
                        controller_id = told["controller_id"]
                        figures["enroll_s"] = await _enroll(server, clients, told["enrollment_pem"], agent_count)
                    else:
                        told = await server.ask("start", timeout_s=_PATIENCE_S, controller_id=controller_id)
                    figures[subject] = await _served(server, clients, told["address"], agent_count, idle_s)
                    if subject == "steelyard":
                        figures["results"] = await _results(server, clients)
                    await asyncio.gather(*(client.ask("leave", timeout_s=_PATIENCE_S) for client in clients))
                    await server.ask("stop", timeout_s=_PATIENCE_S)
            return figures


async def _enroll(server: LineProcess, clients: list[LineProcess], enrollment_pem: str, agent_count: int) -> float:
    code = await server.ask("invite", timeout_s=_PATIENCE_S, count=agent_count)
    share = agent_count // CLIENT_COUNT
    asked = {"code": code, "enrollment_pem": enrollment_pem, "count": share}
    took_s = await asyncio.gather(*(client.ask("enroll", timeout_s=_PATIENCE_S, **asked) for client in clients))
    return float(max(took_s))


async def _served(
    server: LineProcess, clients: list[LineProcess], address: str, agent_count: int, idle_s: float
) -> dict[str, Any]:
    empty = memory_bytes(server.pid)
    before_s = cpu_s(server.pid)
    told = await asyncio.gather(*(one.ask("attach", timeout_s=_PATIENCE_S, address=address) for one in clients))
    attach_cpu_s = cpu_s(server.pid) - before_s
    attached = await server.ask("attached", timeout_s=_PATIENCE_S)
    await asyncio.sleep(_SETTLE_S)
    before = {"server": cpu_s(server.pid), "clients": sum(cpu_s(one.pid) for one in clients)}
    await asyncio.sleep(idle_s)
    after = {"server": cpu_s(server.pid), "clients": sum(cpu_s(one.pid) for one in clients)}
    full = memory_bytes(server.pid)
    one = await server.ask("one_by_one", timeout_s=_PATIENCE_S, count=_ONE_COUNT)
    every = [await server.ask("to_all", timeout_s=_PATIENCE_S) for _ in range(_ALL_REPEATS)]
    lost = sum(await asyncio.gather(*(one.ask("lost", timeout_s=_PATIENCE_S) for one in clients)))
    if attached != agent_count or lost:
        say(f"{NAME}: {attached} of {agent_count} attached, {lost} streams lost")
    return {
        "attach_s": max(each["seconds"] for each in told),
        "attach_cpu_s": attach_cpu_s,
        "missed": sum(each["missed"] for each in told),
        "attached": attached,
        "lost": lost,
        "empty_rss_bytes": empty["rss_bytes"],
        "rss_bytes": full["rss_bytes"],
        "idle_core_share": (after["server"] - before["server"]) / idle_s,
        "clients_core_share": (after["clients"] - before["clients"]) / idle_s,
        "one_ms": _percentiles_ms(one),
        "all_ms": [_percentiles_ms(each) for each in every],
    }


async def _results(server: LineProcess, clients: list[LineProcess]) -> dict[str, float]:
    jobs = await server.ask("jobs", timeout_s=_PATIENCE_S, count=_MOST_RESULT_AGENTS)
    asked = {"jobs": jobs, "label": LABEL, "round_count": _RESULT_COUNT // len(jobs)}
    told = await asyncio.gather(*(one.ask("deliver", timeout_s=_PATIENCE_S, **asked) for one in clients))
    count = sum(each["count"] for each in told)
    return {
        "count": count,
        "uploads_per_s": count / max(each["upload_seconds"] for each in told),
        "records_per_s": count / max(each["record_seconds"] for each in told),
    }


def _percentiles_ms(seconds: list[float]) -> dict[str, float]:
    low, high = np.percentile(np.array(seconds) * 1e3, [50, 99])
    return {"p50": float(low), "p99": float(high)}


@asynccontextmanager
async def _ended(module: str, *words: str) -> AsyncIterator[LineProcess]:
    process = await LineProcess.start(module, *words)
    try:
        yield process
    finally:
        await process.end()


def _allow_many_files() -> None:
    """Take the most open files that this process may have; its children inherit it.

    Raises:
        LineProcessError: They do not suffice for a connection each.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most != resource.RLIM_INFINITY and most < max(AGENT_COUNTS) + 1_000:
        raise LineProcessError(f"{most} open files are too few for {max(AGENT_COUNTS)} agents: raise `ulimit -Hn`")


def table() -> Table | None:
    """Return the figures of the latest round of each size."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    latest = {one["agents"]: one for one in run.rounds}
    rounds = [latest[count] for count in AGENT_COUNTS if count in latest]
    return Table(
        title="Many agents on one controller",
        command="make bench-scale",
        method=(
            f"A controller with its ports for certificates open and its SQLite store, and {CLIENT_COUNT} processes of "
            "light agents on the same machine and cores: each agent has its own TCP and TLS connection, key and "
            "certificate (enrolled by a join code), and says on its session what a real one says: hello of 3 KiB, a "
            "heartbeat every 15 s, receipts, answers to offers. Bare: grpc.aio with the same messages, options and "
            f"certificates, without store or decisions. Idle over {IDLE_S:g} s; dispatch from an offer's being queued "
            "until the agent's answer is read (to all: from the first offer on, the median of three); results: rounds "
            f"of 500 samples, uploaded first, then announced by up to {_MOST_RESULT_AGENTS} of the agents and counted "
            "until each is acknowledged, which is after SQLite has it on the disk. Cores: 1 is one core busy. "
            "Loopback; clients share the cores with what is measured, so times hold what they take as well."
        ),
        run=run,
        head=["figure", *(f"{one['agents']:,} agents, {who}" for one in rounds for who in _SUBJECTS)],
        rows=_rows(rounds),
        verdicts=[_verdict(one) for one in rounds],
    )


def _rows(rounds: list[dict[str, Any]]) -> list[list[str]]:
    each = [(one, one[who], who) for one in rounds for who in _SUBJECTS]

    def of_all(which: str, figures: dict[str, Any]) -> float:
        return float(sorted(one[which] for one in figures["all_ms"])[len(figures["all_ms"]) // 2])

    def results(one: dict[str, Any], who: str, name: str) -> str:
        return f"{one['results'][name]:.0f}" if who == "steelyard" else "-"

    return [
        ["attach all", *(f"{figures['attach_s']:.1f} s" for _, figures, _ in each)],
        ["server's CPU for that", *(f"{figures['attach_cpu_s']:.1f} s" for _, figures, _ in each)],
        ["not attached / lost", *(f"{figures['missed']} / {figures['lost']}" for _, figures, _ in each)],
        ["resident", *(f"{figures['rss_bytes'] / 2**20:.0f} MiB" for _, figures, _ in each)],
        ["resident for each agent", *(f"{_kib_each(one, figures):.0f} KiB" for one, figures, _ in each)],
        ["idle, cores", *(f"{figures['idle_core_share']:.3f}" for _, figures, _ in each)],
        ["idle clients, cores", *(f"{figures['clients_core_share']:.3f}" for _, figures, _ in each)],
        ["dispatch to one, p50", *(f"{figures['one_ms']['p50']:.1f} ms" for _, figures, _ in each)],
        ["dispatch to one, p99", *(f"{figures['one_ms']['p99']:.1f} ms" for _, figures, _ in each)],
        ["dispatch to all, p50", *(f"{of_all('p50', figures):.0f} ms" for _, figures, _ in each)],
        ["dispatch to all, p99", *(f"{of_all('p99', figures):.0f} ms" for _, figures, _ in each)],
        ["enrolled a second", *(_enrolled(one, who) for one, _, who in each)],
        ["uploads a second", *(results(one, who, "uploads_per_s") for one, _, who in each)],
        ["results a second", *(results(one, who, "records_per_s") for one, _, who in each)],
    ]


def _kib_each(one: dict[str, Any], figures: dict[str, Any]) -> float:
    return float((figures["rss_bytes"] - figures["empty_rss_bytes"]) / one["agents"] / 1024)


def _enrolled(one: dict[str, Any], who: str) -> str:
    return f"{one['agents'] / one['enroll_s']:.0f}" if who == "steelyard" else "-"


def _verdict(one: dict[str, Any]) -> str:
    mine, bare = one["steelyard"], one["bare"]
    lost = mine["missed"] + mine["lost"]
    said = "no stream lost" if not lost else f"{lost} streams lost"
    return (
        f"{one['agents']:,} agents: {said}; attaching takes {mine['attach_s'] / bare['attach_s']:.2f} times, idling "
        f"{mine['idle_core_share'] / bare['idle_core_share']:.2f} times, memory for each agent "
        f"{_kib_each(one, mine) / _kib_each(one, bare):.2f} times what bare grpc.aio takes."
    )

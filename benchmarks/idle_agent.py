"""An idle, connected agent beside bare Python that imports gRPC, protobuf and psutil and holds one connection."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil

from benchmarks.progress import Say
from benchmarks.results_file import ResultsFile
from benchmarks.table import Table
from steelyard.control.controller import Controller
from steelyard.settings import Settings

NAME = "idle_agent"
SETTLE_S, WINDOW_S = 8.0, 30.0
SETTINGS = {"settle_s": SETTLE_S, "window_s": WINDOW_S}
_BARE = """
import asyncio, sys
import grpc.aio, psutil, google.protobuf
from steelyard_protocol.v1 import session_pb2, session_pb2_grpc
async def main():
    channel = grpc.aio.insecure_channel(sys.argv[1])
    await channel.channel_ready()
    await asyncio.sleep(3600)
asyncio.run(main())
"""


async def measure(round_count: int, say: Say, *, fresh: bool) -> None:
    """Run rounds until ``round_count`` are in the results file; both idle in turn, the order reversed every time."""
    results = ResultsFile(NAME, SETTINGS, fresh=fresh)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        controller = Controller(Settings(state_directory=Path(work) / "state", agent_listen="127.0.0.1:0"))
        await controller.start()
        try:
            for index in range(len(results.rounds()), round_count):
                say(f"{NAME}: round {index + 1} of {round_count}")
                order = ("agent", "bare") if index % 2 == 0 else ("bare", "agent")
                results.append({who: await _idle(who, controller.agent_address, Path(work)) for who in order})
        finally:
            await controller.stop()


async def _idle(who: str, address: str, work: Path) -> dict[str, float]:
    if who == "agent":
        state = str(work / "agent")
        words = ["-m", "steelyard_agent", "run", "--controller", address, "--state-directory", state]
    else:
        words = ["-c", _BARE, address]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},
    )
    try:
        watched = psutil.Process(process.pid)
        await asyncio.sleep(SETTLE_S)
        before = watched.cpu_times()
        await asyncio.sleep(WINDOW_S)
        after = watched.cpu_times()
        memory = watched.memory_full_info()
    finally:
        process.terminate()
        await process.wait()
    used_s = after.user + after.system - before.user - before.system
    return {"rss_bytes": memory.rss, "uss_bytes": memory.uss, "cpu_share": used_s / WINDOW_S}


def table() -> Table | None:
    """Return the medians over the rounds that are here."""
    rounds = ResultsFile(NAME, SETTINGS).rounds()
    if not rounds:
        return None
    median = {
        (who, key): float(np.median([one[who][key] for one in rounds]))
        for who in ("agent", "bare")
        for key in ("rss_bytes", "uss_bytes", "cpu_share")
    }

    def row(name: str, key: str, scale: float, unit: str) -> list[str]:
        agent, bare = median["agent", key] * scale, median["bare", key] * scale
        ratio = f"{agent / bare:.3f}" if bare else "-"
        return [name, f"{bare:.2f} {unit}", f"{agent:.2f} {unit}", ratio]

    return Table(
        title="An idle agent",
        command="python -m benchmarks.run idle_agent",
        method=(
            "An agent connected to a controller (heartbeats every 15 s) beside bare Python that imports gRPC, "
            "protobuf, the stubs and psutil, and holds one connection to the same controller; each "
            f"idle {WINDOW_S:.0f} s after {SETTLE_S:.0f} s, {len(rounds)} rounds, medians. CPU is in ticks of 10 ms."
        ),
        head=["figure", "bare Python", "agent", "ratio"],
        rows=[
            row("resident set", "rss_bytes", 1 / 2**20, "MiB"),
            row("unique set", "uss_bytes", 1 / 2**20, "MiB"),
            row("CPU, share of a core", "cpu_share", 100.0, "%"),
        ],
    )

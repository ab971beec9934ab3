"""A blob to a device, verified and flushed, beside an rsync daemon; memory by size; small calls beside downloads."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import geometric_mean
from benchmarks.latency_block import BlockError
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.ssh_server import free_port, listening, ssh_login
from benchmarks.table import Table
from benchmarks.transfer_ends import write_certificates

NAME = "transfer"
NAME_HERE = "steelyard"
ROUND_COUNT = 5
SIZES_MB = (10, 100, 1000)
COMPARED_MB = 200
PARALLEL_COUNT = 8
_ASK_COUNT = 300
_START_S = 20.0
# What is measured changed with the second peer and the peak of the receiver alone: rounds of before do not count.
SETTINGS = {"peers": "daemon, ssh", "compared_mb": COMPARED_MB, "parallel": PARALLEL_COUNT, "sizes_mb": list(SIZES_MB)}


async def measure(round_count: int) -> None:
    """Measure until ``round_count`` rounds are in the results file.

    Raises:
        BlockError: there is no rsync or sshd, or one end failed.
    """
    if shutil.which("rsync") is None:
        raise BlockError("there is no rsync here: install it")
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as name:
        folder = Path(name)
        write_certificates(folder)
        digests = {size_mb: _make_blob(folder, size_mb) for size_mb in (COMPARED_MB, *SIZES_MB)}
        async with _serving(folder) as port, _rsync_daemon(folder) as daemon, ssh_login(folder) as (shell, login):
            peers = {
                "rsync": _Peer(place=f"{daemon}/"),
                "rsync over ssh": _Peer(place=f"{login}:{folder / 'blobs'}/", options=("-e", shell)),
            }
            for _ in counted(NAME, len(results.rounds(key)), round_count):
                results.append(key, await _round(folder, port, peers, digests))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peer:
    """Where rsync finds the blobs, and by which way."""

    place: str
    options: tuple[str, ...] = ()


async def _round(folder: Path, port: int, peers: dict[str, _Peer], digests: dict[int, str]) -> dict[str, Any]:
    async def fetch(size_mb: int) -> dict[str, float]:
        return dict(await _end("fetch", folder, port, digests[size_mb], size_mb * 1_000_000))

    async def busy() -> None:
        await asyncio.gather(*(fetch(COMPARED_MB) for _ in range(PARALLEL_COUNT)))

    compared = {NAME_HERE: await fetch(COMPARED_MB)}
    for name, peer in peers.items():
        compared[name] = await _rsync(folder, peer, digests[COMPARED_MB])
    memory = {str(size_mb): (await fetch(size_mb))["memory_bytes"] for size_mb in SIZES_MB}
    idle_s = await _end("ask", folder, port, _ASK_COUNT)
    downloads = asyncio.ensure_future(busy())
    beside_s = await _end("ask", folder, port, _ASK_COUNT)
    still_busy = not downloads.done()
    await downloads
    if not still_busy:
        raise BlockError(f"{PARALLEL_COUNT} downloads ended before {_ASK_COUNT} calls: take larger ones")
    return {"compared": compared, "memory": memory, "idle_s": _percentiles(idle_s), "beside_s": _percentiles(beside_s)}


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": cuts[49], "p99": cuts[98]}


def _make_blob(folder: Path, size_mb: int) -> str:
    """Put noise into the store: nothing of it compresses."""
    from steelyard.store.blobs import BlobStore

    source, drawn = folder / "source", random.Random(size_mb)
    with source.open("wb") as file:
        for _ in range(size_mb):
            file.write(drawn.randbytes(1_000_000))
    digest = BlobStore(folder / "blobs").put_file(source)
    source.unlink()
    return digest


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[int]:
    process = await _started("serve", folder, stdin=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await asyncio.wait_for(process.stdout.readline(), _START_S))
    finally:
        process.kill()
        await process.wait()


async def _end(role: str, folder: Path, *words: object) -> Any:
    process = await _started(role, folder, *words)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise BlockError(f"the end {role!r} of a transfer failed; see above")
    return json.loads(output)


async def _started(
    role: str, folder: Path, *words: object, stdin: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "benchmarks.transfer_ends", role, str(folder), *map(str, words)]
    environ = {**os.environ, "GRPC_VERBOSITY": "NONE"}
    return await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=asyncio.subprocess.PIPE, env=environ)


@asynccontextmanager
async def _rsync_daemon(folder: Path) -> AsyncIterator[str]:
    port = free_port()
    config = folder / "rsyncd.conf"
    lines = ("use chroot = false", "[blobs]", f"path = {folder / 'blobs'}", "read only = true")
    owner = (f"uid = {os.getuid()}", f"gid = {os.getgid()}")
    config.write_text("\n".join((*lines, *owner, "")), encoding="ascii")
    process = await asyncio.create_subprocess_exec(
        "rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}", f"--config={config}"
    )
    try:
        await listening(port)
        yield f"rsync://127.0.0.1:{port}/blobs"
    finally:
        process.terminate()
        await process.wait()


async def _rsync(folder: Path, peer: _Peer, digest: str) -> dict[str, float]:
    """Fetch by rsync, which verifies by a checksum of its own, and flush."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        source = f"{peer.place}{digest[:2]}/{digest[2:4]}/{digest}"
        before_s, begun_s = _children_s(), time.perf_counter()
        command = ("rsync", *peer.options, "--whole-file", "--fsync", source, f"{place}/blob")
        process = await asyncio.create_subprocess_exec(*command)
        if await process.wait() != 0:
            raise BlockError("rsync failed; see above")
        return {"seconds": time.perf_counter() - begun_s, "cpu_s": _children_s() - before_s}


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    rounds = run.rounds
    names = [name for name in rounds[0]["compared"] if name != NAME_HERE]
    rates = {
        name: geometric_mean(
            [one["compared"][name]["seconds"] / one["compared"][NAME_HERE]["seconds"] for one in rounds]
        )
        for name in names
    }
    memory = {size: statistics.median(one["memory"][size] for one in rounds) / 2**20 for size in rounds[0]["memory"]}
    trips = {
        kind: {name: 1000 * statistics.median(one[kind][name] for one in rounds) for name in ("p50", "p99")}
        for kind in ("idle_s", "beside_s")
    }
    return Table(
        title="A blob to a device",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"{COMPARED_MB} MB of noise over loopback from one process to another: by Steelyard with mutual TLS, "
            "verified by SHA-256, flushed and renamed; by an rsync daemon with --whole-file --fsync, which does not "
            "encrypt; and by the same rsync through ssh, which does. In turn, within each round. Memory is what the "
            "receiver's peak rose by; round trips are of small calls on a connection of their own, with nothing else "
            f"and beside {PARALLEL_COUNT} downloads. Medians."
        ),
        run=run,
        head=["", "MB/s", "receiver's CPU s/GB"],
        rows=[_row(name, [one["compared"][name] for one in rounds]) for name in (NAME_HERE, *names)],
        verdicts=[
            *(f"Steelyard's rate is {rate.text(2)} of that of {name}." for name, rate in rates.items()),
            "Memory of the receiver: "
            + ", ".join(f"{mib:.0f} MiB for {size} MB" for size, mib in memory.items())
            + ".",
            f"A small call takes {_trip(trips['idle_s'])} alone, {_trip(trips['beside_s'])} beside the downloads.",
        ],
    )


def _trip(figures: dict[str, float]) -> str:
    return f"{figures['p50']:.1f} ms (p99 {figures['p99']:.1f})"


def _row(name: str, ends: list[dict[str, float]]) -> list[str]:
    rate = statistics.median(COMPARED_MB / end["seconds"] for end in ends)
    cpu = statistics.median(end["cpu_s"] / (COMPARED_MB / 1000) for end in ends)
    return [name, f"{rate:.0f}", f"{cpu:.2f}"]

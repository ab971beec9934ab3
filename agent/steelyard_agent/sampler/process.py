"""Starting the sampler process from the agent, and collecting what it said.

While something is measured the agent only moves bytes about once a second; lines are parsed after the end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.errors import AgentError
from steelyard_agent.meters.energy import Sample
from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.sampler.protocol import (
    READY_LINE,
    RawSample,
    SamplerOrder,
    decode_sample,
    encode_order,
)

DEFAULT_PERIOD_MS = 20

_READY_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 5.0


class SamplerError(AgentError):
    """The sampler process could not be started; nothing was sampled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a sampler saw: for each source its samples in raw counts (``PowerSource.scale`` makes J or W of them).

    ``failures`` holds, for each source, the last reason why it could not be read, "" when it always could; ``note``
    says why the sampler ended early, "" when it did not.
    """

    sources: tuple[PowerSource, ...]
    samples: tuple[tuple[Sample, ...], ...]
    failures: tuple[str, ...]
    period_ns: int
    note: str = ""


class Sampler:
    """A running sampler; made by ``start_sampler``. ``stop`` must be called, also after an error."""

    def __init__(self, process: asyncio.subprocess.Process | None, order: SamplerOrder) -> None:
        self._process = process
        self._order = order
        self._output = bytearray()
        self._note: str | None = None
        self._collector = asyncio.create_task(self._collect()) if process else None

    @property
    def pid(self) -> int | None:
        """Return the process id, None when there was nothing to sample and so no process was started."""
        return self._process.pid if self._process else None

    async def stop(self) -> Recording:
        """End the process, reaping it, and return what it said. A second call returns the same."""
        if self._note is None:
            self._note = await self._end()
        return parse_recording(self._output.decode("utf-8", "replace"), order=self._order, note=self._note)

    async def _collect(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(1 << 16):
            self._output += chunk

    async def _end(self) -> str:
        if self._process is None or self._collector is None:
            return ""
        ended_early = self._process.returncode is not None
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
            await asyncio.wait([self._collector], timeout=_STOP_TIMEOUT_S)
        finally:
            if not self._collector.done():
                self._process.kill()
            await self._process.wait()
            await self._collector
        if ended_early:
            return f"the sampler ended early with status {self._process.returncode}"
        return ""


async def start_sampler(
    system_root: Path,
    sources: Sequence[PowerSource],
    *,
    period_ms: int = DEFAULT_PERIOD_MS,
    avoid_core_ids: Sequence[int] = (),
    jitter: bool = True,
) -> Sampler:
    """Start a sampler process and return once it has read every source for the first time.

    The process keeps off ``avoid_core_ids`` where it can and dies with its parent. Without sources no process is
    started, and the recording is empty.

    Raises:
        SamplerError: the process did not start.
        ValueError: the period makes no sense.
    """
    order = SamplerOrder(
        system_root=str(system_root),
        sources=tuple(sources),
        period_ms=period_ms,
        jitter=jitter,
        avoid_core_ids=tuple(avoid_core_ids),
    )
    if not order.sources:
        return Sampler(None, order)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "steelyard_agent.sampler",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # No module of ours is taken from the folder that the agent happens to run in.
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    try:
        await _hand_over(process, order)
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    return Sampler(process, order)


def parse_recording(text: str, *, order: SamplerOrder, note: str = "") -> Recording:
    """Return the recording of a sampler's lines; a last line that was cut off is left out.

    Raises:
        ValueError: a whole line is no sample.
    """
    raw = [decode_sample(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    count = len(order.sources)
    samples: list[list[Sample]] = [[] for _ in range(count)]
    failures = [""] * count
    for one in raw:
        _sort_sample(one, samples, failures)
    return Recording(
        sources=order.sources,
        samples=tuple(tuple(one) for one in samples),
        failures=tuple(failures),
        period_ns=order.period_ms * 1_000_000,
        note=note,
    )


def _sort_sample(one: RawSample, samples: list[list[Sample]], failures: list[str]) -> None:
    if not 0 <= one.source_index < len(samples):
        raise ValueError(f"sample of source {one.source_index}, of which there are {len(samples)}")
    if one.raw is None:
        failures[one.source_index] = one.reason
    else:
        samples[one.source_index].append(Sample(time_ns=one.time_ns, value=one.raw))


async def _hand_over(process: asyncio.subprocess.Process, order: SamplerOrder) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(encode_order(order).encode() + b"\n")
    first = asyncio.ensure_future(process.stdout.readline())
    done, _ = await asyncio.wait([first], timeout=_READY_TIMEOUT_S)
    if not done:
        first.cancel()
        await asyncio.wait([first])
        message = f"the sampler said nothing for {_READY_TIMEOUT_S:g} s; energy was not measured, try again"
        raise SamplerError("sampler_silent", message)
    if first.result().decode("utf-8", "replace").rstrip("\n") != READY_LINE:
        message = (
            f"the sampler answered {first.result()[:80]!r}; run {sys.executable} -m steelyard_agent.sampler to see"
        )
        raise SamplerError("sampler_failed", message)

"""The energy pass: a sampler process beside one block, and what it says about that block's windows."""

from __future__ import annotations

import asyncio

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power import find_power_sources
from steelyard_agent.meters.power_source import FoundSources
from steelyard_agent.readings import Kind, Reading, Scope, unavailable
from steelyard_agent.sampler.process import Recording, Sampler, SamplerError, start_sampler
from steelyard_agent.sampler.reading import (
    ENERGY_NAME,
    IDLE_NAME,
    LEAST_IDLE_S,
    LOADED_NAME,
    energy_reading,
    power_reading,
)
from steelyard_agent.worker.block import WorkerResult


class SamplerWatch:
    """Watches the device's power and energy sources beside one block. Use once."""

    def __init__(self, system: System, avoid_core_ids: tuple[int, ...] = ()) -> None:
        """Look for sources in ``system``; the sampler keeps off ``avoid_core_ids``, where the block runs."""
        self._system = system
        self._avoid_core_ids = avoid_core_ids
        self._found = FoundSources(sources=(), missing=())
        self._sampler: Sampler | None = None
        self._failure = ""

    async def start(self) -> None:
        """Begin to sample; a sampler that does not start makes the energy unavailable, not the block a failure."""
        # In a thread: some sources are asked through programs that take seconds.
        self._found = await asyncio.to_thread(find_power_sources, self._system)
        try:
            self._sampler = await start_sampler(
                self._system.root, self._found.sources, avoid_core_ids=self._avoid_core_ids
            )
        except SamplerError as error:
            self._failure = str(error)

    async def stop(self, result: WorkerResult | None) -> list[Reading]:
        """End sampling and return what the windows in ``result`` tell, or why there is nothing.

        That is the energy per inference, of an idle block the power, and of one that rested with its model loaded the
        power of that as well.

        Where a sensor averages, the last thing that it says of the window comes half of that time after its end; so
        long sampling goes on.
        """
        if self._sampler is None:
            return [_unavailable(self._failure or "the sampler was not started")]
        try:
            if result is not None and result.window_end_ns is not None:
                await asyncio.sleep(self._lag_s(result.window_end_ns))
        finally:
            recording = await self._sampler.stop()
        if result is None or result.window_start_ns is None or result.window_end_ns is None:
            return [_unavailable("the block ended before its window")]
        return self._read(recording, result, result.window_start_ns, result.window_end_ns)

    def _lag_s(self, window_end_ns: int) -> float:
        averaging_s = max((source.averaging_s for source in self._found.sources), default=0.0)
        return max(0.0, averaging_s / 2 - (self._system.clock_ns() - window_end_ns) / 1e9) if averaging_s else 0.0

    def _read(self, recording: Recording, result: WorkerResult, start_ns: int, end_ns: int) -> list[Reading]:
        if end_ns <= start_ns:
            return [_unavailable(f"the block's window lasts {end_ns - start_ns} ns")]
        if result.is_idle:
            return self._power(IDLE_NAME, recording, start_ns, end_ns, least_s=LEAST_IDLE_S)
        readings = energy_reading(
            window_start_ns=start_ns,
            window_end_ns=end_ns,
            inference_count=result.sample_count,
            recording=recording,
            missing=self._found.missing,
        )
        if result.loaded_start_ns is not None and result.loaded_end_ns is not None and recording.sources:
            readings += self._power(LOADED_NAME, recording, result.loaded_start_ns, result.loaded_end_ns)
        return readings

    def _power(
        self, name: str, recording: Recording, start_ns: int, end_ns: int, *, least_s: float = 0.0
    ) -> list[Reading]:
        return power_reading(
            name,
            window_start_ns=start_ns,
            window_end_ns=end_ns,
            recording=recording,
            missing=self._found.missing,
            least_s=least_s,
        )


def _unavailable(reason: str) -> Reading:
    return unavailable(ENERGY_NAME, reason=reason, source="sampler", scope=Scope.SYSTEM, unit="J", kind=Kind.COUNTER)

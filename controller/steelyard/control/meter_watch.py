"""The external meters of one job: recorded from before the first energy block to after the last, then kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from steelyard.errors import SteelyardError
from steelyard.meters.contract import Meter
from steelyard.meters.recorder import Recorder
from steelyard.meters.registry import make_meter
from steelyard_protocol.v1 import control_pb2

_log = logging.getLogger(__name__)

# For the first sample of each meter; one that needs longer is waited for no more.
_READY_TIMEOUT_S = 6.0


class MeterWatch:
    """Records meters while an energy pass runs. Used from one event loop; nothing about a meter fails the job."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        keep: Callable[[control_pb2.MeterTrace], Awaitable[None]],
        make: Callable[[str], Meter] = make_meter,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Prepare to record the meters of ``urls``; ``keep`` stores a trace."""
        self._keep = keep
        self._clock_ns = clock_ns
        self._recorders = [Recorder(url, partial(make, url), clock_ns=clock_ns) for url in urls]
        self._started: list[Recorder] = []
        self._heard: list[control_pb2.HeardBlock] = []

    async def start(self) -> list[str]:
        """Begin to record and wait a bounded time for the first samples; return a sentence for each that has none."""
        for recorder in self._recorders:
            recorder.start()
            self._started.append(recorder)
        await asyncio.to_thread(_wait_ready, self._started)
        return [f"meter {one.name}: {one.reason or 'it told nothing yet'}" for one in self._started if not one.reads]

    @property
    def any_reads(self) -> bool:
        """Return whether any meter that was started has told anything yet."""
        return any(one.reads for one in self._started)

    def heard(self, round_index: int, label: str) -> None:
        """Note that the device begins a block, which ends the one before."""
        last = self._heard[-1] if self._heard else None
        if last is not None and not last.HasField("end_ns") and (last.round_index, last.label) == (round_index, label):
            return
        self.round_over()
        self._heard.append(control_pb2.HeardBlock(round_index=round_index, label=label, begin_ns=self._clock_ns()))

    def round_over(self) -> None:
        """Note that the block of which was heard last is over."""
        if self._heard and not self._heard[-1].HasField("end_ns"):
            self._heard[-1].end_ns = self._clock_ns()

    async def stop(self) -> None:
        """End recording and keep the traces; what cannot be kept is a line in the log."""
        started, self._started = self._started, []
        for one in started:
            one.end()
        for trace in await asyncio.to_thread(lambda: [one.stop(self._heard) for one in started]):
            await self._keep_or_warn(trace)

    async def _keep_or_warn(self, trace: control_pb2.MeterTrace) -> None:
        try:
            await self._keep(trace)
        except SteelyardError as error:
            _log.warning("the trace of meter %s could not be kept: %s", trace.meter, error)


def _wait_ready(recorders: Sequence[Recorder]) -> None:
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    for recorder in recorders:
        recorder.wait_ready(max(0.0, deadline_s - time.monotonic()))

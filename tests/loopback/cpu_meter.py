"""A meter whose power follows the real load of the measured process: so many watts a busy core, and some for nothing.

It reads the worker's own CPU clock, so that what it says is known exactly at any time. It tells it late, as a meter
with a lag does: only the load marker can bring that right.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import ClassVar

import psutil

from steelyard.meters.contract import MeterFacts, MeterKind, MeterSample, MeterUrl, Scope
from tests.loopback.power_truth import PowerTruth
from tests.support.processes import children_running

IDLE_W, BUSY_W = 2.0, 6.0
LAG_NS = 700_000_000
_PERIOD_S = 0.01


class WorkerClock:
    """The CPU time of whichever worker runs below this process, in ns; it starts again at 0 with each worker."""

    def __init__(self) -> None:
        self._worker: psutil.Process | None = None
        self._looked_s = 0.0

    def busy_ns(self) -> int:
        """Return what the worker used so far, 0 while there is none."""
        if self._worker is None or not self._worker.is_running():
            self._worker, now_s = None, time.monotonic()
            if now_s - self._looked_s > 0.1:
                self._looked_s = now_s
                self._worker = next(iter(children_running("steelyard_agent.worker")), None)
        if self._worker is None:
            return 0
        try:
            return _cpu_ns(self._worker)
        except (OSError, psutil.Error):
            self._worker = None
            return 0


class CpuMeter:
    """Looks at the workers below this process every 10 ms, in a thread of its own."""

    # What really was, without the lag.
    truth: ClassVar[PowerTruth] = PowerTruth()

    def __init__(self, _url: MeterUrl) -> None:
        self._waiting: list[MeterSample] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._clock = WorkerClock()

    def open(self) -> MeterFacts:
        type(self).truth = PowerTruth()
        self._thread.start()
        return MeterFacts(description="CPU clock of the worker", scope=Scope.BOARD_INPUT, period_s=_PERIOD_S)

    def read(self) -> Sequence[MeterSample]:
        taken, self._waiting = self._waiting, []
        return taken

    def close(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        then, busy, energy_j = time.monotonic_ns(), 0, 0.0
        while not self._ended.wait(_PERIOD_S):
            used, now = self._clock.busy_ns(), time.monotonic_ns()
            spent_ns = max(0, used - busy) if used >= busy else used
            joules = (IDLE_W * (now - then) + BUSY_W * spent_ns) / 1e9
            energy_j += joules
            self.truth.add(now, energy_j)
            middle_ns = (then + now) // 2 + LAG_NS
            self._waiting.append(MeterSample(time_ns=middle_ns, power_w=joules / (now - then) * 1e9))
            then, busy = now, used


def _cpu_ns(process: psutil.Process) -> int:
    if sys.platform == "linux":
        # The CPU clock of another process, as clock_getcpuclockid(3) makes its number; psutil's has steps of 10 ms.
        return time.clock_gettime_ns((~process.pid << 3) | 2)
    times = process.cpu_times()
    return round((times.user + times.system) * 1e9)


KIND = MeterKind(scheme="cpu", summary="x", example="cpu:", period_s=_PERIOD_S, make=CpuMeter)

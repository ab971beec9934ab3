"""Reads one meter in a thread of its own, from start to stop; trouble with the meter becomes the trace's reason."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing

from steelyard.errors import SteelyardError
from steelyard.meters.contract import Meter, MeterFacts
from steelyard.meters.trace import TraceBuilder
from steelyard_protocol.v1 import control_pb2

_log = logging.getLogger(__name__)

# A plug that was away is asked again so often; a gap that long is a hole in the trace anyway.
_RETRY_S = 2.0
# Longer than any time-out of a meter; who has not come back by then is left behind (a daemon thread).
_STOP_GRACE_S = 10.0
# A meter that says something by itself is drained so often.
_LEAST_WAIT_S = 0.1


class Recorder:
    """Records one meter. ``start`` once, ``stop`` once; neither raises."""

    def __init__(
        self, name: str, make: Callable[[], Meter], *, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Prepare to record the meter that ``make`` makes, which is called ``name`` in the trace."""
        self.name = name
        self.facts: MeterFacts | None = None
        self.reason = ""
        self._make = make
        self._clock_ns = clock_ns
        self._builder = TraceBuilder()
        self._ended = threading.Event()
        self._end_by_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"meter {name[:40]}", daemon=True)
        self._settled = threading.Event()

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    @property
    def reads(self) -> bool:
        """Return whether the meter has told anything yet."""
        return len(self._builder) > 0

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the first sample is there or the meter is in trouble."""
        self._settled.wait(timeout_s)

    def end(self) -> None:
        """Ask it to end, without waiting; the grace of ``stop`` counts from here, so that several share one."""
        if not self._ended.is_set():
            self._end_by_s = time.monotonic() + _STOP_GRACE_S
        self._ended.set()

    def stop(self, blocks: Iterable[control_pb2.HeardBlock] = ()) -> control_pb2.MeterTrace:
        """End reading and return the trace; waits a bounded time for a meter that hangs."""
        self.end()
        self._thread.join(max(0.0, self._end_by_s - time.monotonic()))
        if self._thread.is_alive():
            # It still writes: what it holds cannot be read safely.
            reason = f"the meter did not come back within {_STOP_GRACE_S:g} s"
            return control_pb2.MeterTrace(meter=self.name, blocks=blocks, reason=reason)
        if self._builder.is_full:
            self.reason = f"the trace was cut after {len(self._builder)} samples"
        return self._builder.message(meter=self.name, facts=self.facts, blocks=blocks, reason=self.reason)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with closing(self._make()) as meter:
                    self.facts = meter.open()
                    self._read(meter, self.facts)
            except SteelyardError as error:
                self._note(str(error))
            except Exception as error:  # noqa: BLE001  (the top of a thread: a plugin's bug costs its reading, not the job)
                _log.exception("reading meter %s failed by a bug", self.name)
                self._note(f"reading it failed by a bug ({type(error).__name__}: {error})")
            self._ended.wait(_RETRY_S)

    def _read(self, meter: Meter, facts: MeterFacts) -> None:
        due_ns = self._clock_ns()
        period_s = max(facts.period_s, _LEAST_WAIT_S)
        while not self._ended.is_set():
            self._builder.add(meter.read())
            if len(self._builder):
                self._settled.set()
            due_ns = max(due_ns + round(period_s * 1e9), self._clock_ns())
            self._ended.wait((due_ns - self._clock_ns()) / 1e9)

    def _note(self, reason: str) -> None:
        if not self.reason:
            _log.info("meter %s: %s", self.name, reason)
        self.reason = reason
        self._settled.set()

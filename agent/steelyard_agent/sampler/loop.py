"""The loop of the sampler: read each source at its own varied period, until told to stop. Standard library only.

Sources in files and libraries take microseconds and share the loop. One that starts a program takes milliseconds to
seconds: it has a thread of its own, so that the others are not late.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import repeat
from random import Random

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power_source import SourceReader
from steelyard_agent.meters.sysfs import SourceError
from steelyard_agent.sampler.intervals import intervals
from steelyard_agent.sampler.protocol import READY_LINE, RawSample, SamplerOrder, encode_sample

# Lines are handed over in batches, so that the agent wakes about once a second while something is measured.
_BATCH_NS = 1_000_000_000


def run_loop(
    order: SamplerOrder,
    *,
    system: System,
    wait_for_stop: Callable[[float], bool],
    emit: Callable[[str], None],
    rng: Random,
) -> None:
    """Read until ``wait_for_stop(seconds)`` returns True; one last read follows, to see past the window's end.

    ``emit`` takes text of whole lines; ``rng`` varies the intervals.
    """
    tracks = [_Track(order, index, system, rng) for index in range(len(order.sources))]
    out = _Output(emit, system.clock_ns)
    out.add(READY_LINE)
    for track in tracks:
        out.add(track.read())
    out.flush()
    stopping = threading.Event()
    slow = [track for track in tracks if track.runs_program]
    threads = [threading.Thread(target=_follow, args=(track, stopping, out.add), daemon=True) for track in slow]
    for thread in threads:
        thread.start()
    try:
        _rounds([track for track in tracks if not track.runs_program], system.clock_ns, wait_for_stop, out)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    out.flush()
    for track in tracks:
        track.close()


class _Track:
    """One source with the time at which it is read next."""

    def __init__(self, order: SamplerOrder, index: int, system: System, rng: Random) -> None:
        source = order.sources[index]
        self.runs_program = source.runs_program
        self.due_ns = 0
        self._index = index
        self._reader = SourceReader(system, source)
        self._clock_ns = system.clock_ns
        self._period_ns = source.sampling_period_ns(order.period_ms * 1_000_000)
        self._intervals = intervals(rng.random()) if order.jitter else repeat(1.0)

    def read(self) -> str:
        """Read once, as a line; the next read is due an interval after this one began."""
        before_ns = self._clock_ns()
        raw, reason = None, ""
        try:
            raw = self._reader.read_raw()
        except SourceError as error:
            reason = str(error)
        middle_ns = (before_ns + self._clock_ns()) // 2
        self.due_ns = before_ns + round(self._period_ns * next(self._intervals))
        return encode_sample(RawSample(source_index=self._index, time_ns=middle_ns, raw=raw, reason=reason))

    def wait_s(self) -> float:
        """Return how long it is until the next read."""
        return max(0, self.due_ns - self._clock_ns()) / 1e9

    def close(self) -> None:
        """Give back what the reader keeps."""
        self._reader.close()


class _Output:
    """Lines of all threads; only the loop's own thread hands them over."""

    def __init__(self, emit: Callable[[str], None], clock_ns: Callable[[], int]) -> None:
        self._emit = emit
        self._clock_ns = clock_ns
        self._lines: deque[str] = deque()
        self._flushed_ns = 0

    def add(self, line: str) -> None:
        """Keep a line; any thread may."""
        self._lines.append(line)

    def flush(self) -> None:
        """Hand over what there is."""
        self._flushed_ns = self._clock_ns()
        count = len(self._lines)
        if count:
            self._emit("".join(f"{self._lines.popleft()}\n" for _ in range(count)))

    def flush_batch(self) -> None:
        """Hand over what there is when a second has passed since the last time."""
        if self._clock_ns() - self._flushed_ns >= _BATCH_NS:
            self.flush()


def _rounds(
    tracks: list[_Track], clock_ns: Callable[[], int], wait_for_stop: Callable[[float], bool], out: _Output
) -> None:
    stopped = False
    while not stopped:
        stopped = wait_for_stop(min((track.wait_s() for track in tracks), default=_BATCH_NS / 1e9))
        now_ns = clock_ns()
        for track in tracks:
            if stopped or track.due_ns <= now_ns:
                out.add(track.read())
        out.flush_batch()


def _follow(track: _Track, stopping: threading.Event, add: Callable[[str], None]) -> None:
    """Read a slow source until the loop stops, and once more."""
    while not stopping.wait(track.wait_s()):
        add(track.read())
    add(track.read())

"""The load marker: pulses of load and rest before an energy window, by which a meter elsewhere finds the window.

A meter that another machine reads knows nothing of this clock. The pattern is what both see: rest, then pulses of
back-to-back inference with rests between them. The last pulse and the last rest last twice as long, so that no
periodic load looks like the whole of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from steelyard_agent.worker.stopwatch import Call, Clock, run_window

Sleep = Callable[[float], None]


def run_marker(
    call: Call, *, pulse_count: int, pulse_ns: int, inner_count: int, clock: Clock, sleep: Sleep = time.sleep
) -> tuple[int, ...]:
    """Run the marker and return when its pulses began and ended, in turn (nanoseconds of ``clock``).

    A pulse lasts at least ``pulse_ns`` and holds whole inferences; it ends when its last one does. A rest of
    ``pulse_ns`` comes before the first pulse: what ran until then, mostly the warm-up, is load as well.
    """
    edges: list[int] = []
    _rest(pulse_ns, clock, sleep)
    for index in range(pulse_count):
        length_ns = pulse_ns * (2 if index == pulse_count - 1 else 1)
        start, end, _ = run_window(call, length_ns, inner_count, clock)
        edges += (start, end)
        _rest(length_ns, clock, sleep)
    return tuple(edges)


def _rest(length_ns: int, clock: Clock, sleep: Sleep) -> None:
    deadline = clock() + length_ns
    while (left_ns := deadline - clock()) > 0:
        sleep(left_ns / 1e9)

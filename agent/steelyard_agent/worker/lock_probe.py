"""Whether a call keeps Python's lock while it runs: then streams in threads take turns instead of overlapping."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

# Longer than any probe: a thread that computes in Python gives the lock up by itself only this often.
_SWITCH_INTERVAL_S = 5.0
_PROBE_S = 0.05
_LOOK_AFTER_S = 0.005
_TRIES = 3


def keeps_lock(call: Callable[[], object], estimate_ns: float) -> bool:
    """Return whether another Python thread never got to run while ``call`` ran for some 50 ms, in three tries.

    A thread calls it in a loop that lets nobody in between; this one sleeps 5 ms and looks how far that came. If it
    came to its end, nothing in the call had let go of the lock. ``estimate_ns`` is about what one call takes.
    """
    turns = max(4, int(_PROBE_S * 1e9 / max(1.0, estimate_ns)))
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        return all(_ran_through(call, turns) for _ in range(_TRIES))
    finally:
        sys.setswitchinterval(before_s)


def _ran_through(call: Callable[[], object], turns: int) -> bool:
    progress = [0]
    failures: list[BaseException] = []

    def loop() -> None:
        try:
            for _ in range(turns):
                call()
                progress[0] += 1
        except BaseException as error:  # noqa: BLE001 (handed to the caller's thread)
            failures.append(error)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    time.sleep(_LOOK_AFTER_S)
    seen = progress[0]
    thread.join()
    if failures:
        raise failures[0]
    return seen == turns

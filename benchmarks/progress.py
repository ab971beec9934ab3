"""Progress of long benchmarks: a line on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator


def counted(name: str, done_count: int, wanted_count: int) -> Iterator[int]:
    """Yield the number of each round that is still to do, with a line that says how long the rest may take."""
    begun_s = time.monotonic()
    for index in range(done_count, wanted_count):
        made = index - done_count
        left = (time.monotonic() - begun_s) / made * (wanted_count - index) / 60 if made else None
        say(f"{name}: round {index + 1} of {wanted_count}" + (f", about {left:.1f} min left" if left else ""))
        yield index
    say("")


def say(text: str) -> None:
    """Overwrite the progress line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text[:100]}")
        sys.stderr.flush()

"""Progress of long benchmarks: a line on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable

Say = Callable[[str], None]


def say(text: str) -> None:
    """Overwrite the progress line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text[:100]}")
        sys.stderr.flush()


def done() -> None:
    """End the progress line."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")

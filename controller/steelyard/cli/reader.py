"""Whoever reads what a command prints may go away (`| head`): that is no error, and it is no verdict either."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def forget_reader(stream: TextIO) -> None:
    """Let what is left for a stream that nobody reads go nowhere: the interpreter tries it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Print a verdict, and go on to its exit code where nobody reads it: 0 would be a pass that nothing passed."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        forget_reader(sys.stdout)

"""What every test gets: a port and signals of its process, and logging that ends with the test."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator

import pytest

# Tests use ONNX Runtime directly, too; from 1.29 on it reports to Microsoft unless this is said before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Commands with a state directory of their own listen here: not where those of another process of tests do, nor a
# controller that somebody runs. Below the ports that clients are given.
os.environ.setdefault("STEELYARD_AGENT_LISTEN", f"127.0.0.1:{10_000 + os.getpid() % 20_000}")
# What a shell runs in the background ignores Ctrl-C, and so would the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logging_ends_with_the_test() -> Iterator[None]:
    """Take away handlers that a command left on the root logger: their captured stream is closed by the next test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)

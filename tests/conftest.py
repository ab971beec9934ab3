"""What every test gets: the logging of one test ends with it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

# Tests use ONNX Runtime directly, too; from 1.29 on it reports to Microsoft unless this is said before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


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

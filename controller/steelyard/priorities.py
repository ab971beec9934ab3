"""Priorities of jobs as people write them."""

from __future__ import annotations

from steelyard.errors import UsageError
from steelyard_protocol.v1 import common_pb2

DEFAULT_PRIORITY = "normal"
PRIORITIES = {
    "interactive": common_pb2.JOB_PRIORITY_INTERACTIVE,
    "normal": common_pb2.JOB_PRIORITY_NORMAL,
    "nightly": common_pb2.JOB_PRIORITY_NIGHTLY,
}


def parse_priority(name: str) -> common_pb2.JobPriority.ValueType:
    """Return a priority by its name.

    Raises:
        UsageError: ``unknown_priority``.
    """
    if name not in PRIORITIES:
        raise UsageError("unknown_priority", f"there is no priority {name!r}; there are {', '.join(PRIORITIES)}")
    return PRIORITIES[name]

"""What can go wrong with the state directory."""

from __future__ import annotations

import errno
from pathlib import Path

from steelyard_agent.errors import AgentError

# Kept free beside everything that is staged or written, so that the device itself goes on working.
DISK_RESERVE_BYTES = 64 * 1024 * 1024


class StateError(AgentError):
    """The state directory, or a file in it, cannot be used."""


class StateLockedError(StateError):
    """Another agent works on the same state directory."""


class DiskFullError(StateError):
    """There is no room for what must be written."""

    def __init__(self, *, needed_bytes: int, free_bytes: int, folder: Path) -> None:
        super().__init__(
            "disk_full",
            f"{folder} has {free_bytes} bytes free but {needed_bytes} bytes are needed beside a reserve of "
            f"{DISK_RESERVE_BYTES}; free some space or give the agent another --state-directory",
        )


def is_disk_full(error: OSError) -> bool:
    """Tell whether the system refused a write for want of room (no space left, quota exceeded)."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}

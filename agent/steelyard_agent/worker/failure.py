"""How a block ends when it does not end well. Standard library only."""

from __future__ import annotations

from enum import Enum


class BlockStatus(Enum):
    """The end of a block; the values are the wire's names without their prefix."""

    OK = "OK"
    INVALID_MODEL = "INVALID_MODEL"
    UNSUPPORTED = "UNSUPPORTED"
    FALLBACK = "FALLBACK"
    RUNTIME_MISSING = "RUNTIME_MISSING"
    USER_ERROR = "USER_ERROR"
    CRASHED = "CRASHED"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    KILLED_UNKNOWN = "KILLED_UNKNOWN"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"
    DISK_FULL = "DISK_FULL"
    KILLED_BY_OS = "KILLED_BY_OS"
    NOT_VALID = "NOT_VALID"


class BlockFailure(Exception):  # noqa: N818 - it is the end of a block, with a status, more than an error
    """Ends a block with a status of its own, a reason for machines and one sentence for people."""

    def __init__(self, status: BlockStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

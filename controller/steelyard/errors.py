"""The errors of the controller: a reason for machines, a sentence that names the value and the next step."""

from __future__ import annotations

EXIT_FINE = 0
EXIT_UNMET = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_INFRASTRUCTURE = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


def first_line(error: BaseException) -> str:
    """Return the first line of somebody else's error for a sentence of ours, 300 characters at most; else its class."""
    text = str(error).strip()
    return text.splitlines()[0][:300].rstrip(".") if text else type(error).__name__


class SteelyardError(Exception):
    """Root of every error that the controller raises on purpose.

    ``reason`` is lower snake case, for machines ("artifact_not_found"); ``exit_code`` is what a command ends with.
    """

    exit_code = EXIT_INFRASTRUCTURE

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UsageError(SteelyardError):
    """A flag, a file or a configuration that makes no sense; nothing was started."""

    exit_code = EXIT_USAGE


class NotFoundError(UsageError):
    """A name that nothing here has."""


class DeviceError(SteelyardError):
    """A device or a part of the infrastructure did not do its part."""


class IncompleteError(SteelyardError):
    """Something was not measured, so that no verdict is possible."""

    exit_code = EXIT_INCOMPLETE

"""The errors of the agent: each has a reason for machines and a sentence that names the value and the next step."""

from __future__ import annotations


class AgentError(Exception):
    """Root of every error that the agent raises on purpose.

    ``reason`` is lower snake case, for machines ("disk_full"); ``exit_code`` is what a command ends with.
    """

    exit_code = 4

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UsageError(AgentError):
    """The caller asked for something that makes no sense."""

    exit_code = 2

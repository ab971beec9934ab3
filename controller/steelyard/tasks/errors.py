"""The error of a task that cannot be used."""

from __future__ import annotations

from steelyard.errors import UsageError


class TaskError(UsageError):
    """A task, its data or outputs for it make no sense; the sentence names the value and the next step."""

"""Errors of copies."""

from __future__ import annotations

from steelyard.errors import UsageError


class BackupError(UsageError):
    """A copy that cannot be made, or a file that is none."""

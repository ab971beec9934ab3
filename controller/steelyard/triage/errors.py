"""The errors of triage."""

from __future__ import annotations

from steelyard.errors import UsageError


class TriageError(UsageError):
    """A change of an alert that makes no sense, or a silence that is none."""

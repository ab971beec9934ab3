"""What can go wrong with joining a controller."""

from __future__ import annotations

from steelyard_agent.errors import AgentError, UsageError


class JoinCodeError(UsageError):
    """What was pasted is no join code for a device."""


class EnrollmentError(AgentError):
    """The controller could not be joined, or does not renew."""

"""What the identity package refuses."""

from __future__ import annotations

from steelyard.errors import SteelyardError, UsageError


class JoinCodeError(UsageError):
    """A text that is no join code, or one that was mistyped or cut off."""


class IdentityError(SteelyardError):
    """A certificate, a request for one or a key that is not accepted; ``reason`` says why."""

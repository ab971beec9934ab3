"""What the identity package refuses."""

from __future__ import annotations

from steelyard.errors import UsageError


class JoinCodeError(UsageError):
    """A text that is no join code, or one that was mistyped or cut off."""


class IdentityError(UsageError):
    """A certificate, a request for one, a key, a join code or a caller that is not accepted; ``reason`` says why."""

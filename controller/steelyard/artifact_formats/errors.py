"""The error of a file that is no usable model."""

from __future__ import annotations

from steelyard.errors import UsageError


class InvalidModelError(UsageError):
    """A model file that cannot be used; the sentence names the file and the next step."""

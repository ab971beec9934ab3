"""The errors of compression: a recipe, an input, or the work itself."""

from __future__ import annotations

from steelyard.errors import SteelyardError, UsageError


class RecipeError(UsageError):
    """A recipe that cannot be run on any model."""


class CompressionInputError(UsageError):
    """A model or calibration data that a recipe cannot work with."""


class CompressionError(SteelyardError):
    """Compression began and did not end well; nothing was written."""

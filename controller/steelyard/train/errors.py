"""The errors of training: a model that cannot become a module, a module that cannot become a model."""

from __future__ import annotations

from steelyard.errors import SteelyardError, UsageError


class LiftError(UsageError):
    """An ONNX model that cannot become a trainable module; the steps that need no PyTorch still take it."""


class ImportModelError(UsageError):
    """A PyTorch program that cannot become an ONNX model."""


class ExportError(SteelyardError):
    """A trained module that cannot be written as a model, or whose model gives other numbers."""


class ExtraMissingError(UsageError):
    """A package of an extra is not installed."""


class TrainingInputError(UsageError):
    """A model, a task or a setting that cannot be trained with."""


class TrainingError(SteelyardError):
    """A training began and did not end well; what it came to before is kept."""

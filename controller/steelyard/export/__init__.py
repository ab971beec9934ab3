"""A variant as a folder that stands alone: the model, what it is, what it was measured at, and how to run it."""

from __future__ import annotations

from steelyard.export.folder import write_export

__all__ = ["write_export"]

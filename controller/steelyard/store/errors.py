"""Errors of the store, without SQL, so that the blobs and the lock import nothing heavy."""

from __future__ import annotations

from steelyard.errors import SteelyardError


class StoreError(SteelyardError):
    """The database or the blob folder could not do its part: full, read-only, damaged, of a newer version."""

"""How a night ends otherwise than by its report."""

from __future__ import annotations

from steelyard.errors import DeviceError, SteelyardError

# The controller is not there right now: it is restarted, or the network is away.
GONE_REASONS = frozenset({"controller_unreachable", "controller_slow", "controller_vanished"})


class StoppedError(Exception):
    """The night was told to stop; what is finished is kept, and the next run goes on from there."""


def is_gone(error: SteelyardError) -> bool:
    """Say whether an error means that the controller may be back in a moment."""
    return isinstance(error, DeviceError) and error.reason in GONE_REASONS

"""What can go wrong while an agent is brought onto a device."""

from __future__ import annotations

from steelyard.errors import DeviceError, UsageError


class DeployError(DeviceError):
    """A device could not be reached, or did not do its part; the sentence says what is left of the attempt."""


class UnfitDeviceError(UsageError):
    """A device that no agent can be brought onto as it was asked; nothing was changed."""

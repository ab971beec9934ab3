"""What readings of energy and power are called by agents and by the controller alike, and what they lack."""

from __future__ import annotations

from collections.abc import Iterable

ENERGY_NAME = "energy_per_inference"
NET_NAME = "net_energy_per_inference"
POWER_NAME = "mean_power"
IDLE_NAME = "idle_power"
LOADED_NAME = "loaded_power"
# A figure is followed by a reading of this name.
UNCERTAINTY_SUFFIX = "_uncertainty"
# The word for machines, which begins the reason of a figure that is there all the same.
LOW_CONFIDENCE = "low_confidence"


def low_confidence(reasons: Iterable[str]) -> str:
    """Return the first of the reasons that says what a figure lacks, "" where nothing is lacking."""
    return next((reason for reason in reasons if reason.startswith(LOW_CONFIDENCE)), "")

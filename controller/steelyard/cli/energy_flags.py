"""The flags of `measure` and `compare` that say how energy is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from steelyard.cli.parameters import DURATION, DURATION_OR_NONE
from steelyard.control.energy_plan import EnergyOptions

ENERGY_FLAGS = (
    click.option(
        "--energy-rounds",
        type=click.IntRange(0, 100),
        default=3,
        show_default=True,
        help="Where there is a sensor or a meter; 0 for none.",
    ),
    click.option(
        "--energy-window",
        type=DURATION,
        help="Per energy block; what the device's sensors and the meters need, 10s at least, when left out.",
    ),
    click.option(
        "--idle-window",
        type=DURATION_OR_NONE,
        default="30s",
        show_default=True,
        help="Idle baseline before and after each energy round; 0s for none, and no net energy.",
    ),
)


def energy_options(flags: Mapping[str, Any]) -> EnergyOptions:
    """Return the energy pass that the flags say."""
    return EnergyOptions(
        round_count=flags["energy_rounds"], window_s=flags["energy_window"] or 0.0, idle_s=flags["idle_window"]
    )

"""The flags of `measure` and `compare` that say what a block waits for, and when it is not valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from steelyard.cli.parameters import DURATION, SHARE
from steelyard.control.gate_plan import GateOptions

GATE_FLAGS = (
    click.option(
        "--gate/--no-gate", default=True, show_default=True, help="Wait before a block for a cool and quiet device."
    ),
    click.option("--gate-wait", type=DURATION, help="Before a block at most; 10m when left out."),
    click.option(
        "--max-temperature", type=click.FloatRange(0, 120), metavar="C", help="Of the processor, when a block begins."
    ),
    click.option(
        "--max-other-load",
        type=click.FloatRange(min=0),
        metavar="CORES",
        help="That others keep busy when a block begins; by default what leaves each thread a core.",
    ),
    click.option("--governor", default="", metavar="NAME", help="That every measured core must have."),
    click.option("--min-charge", type=SHARE, metavar="PERCENT", help="Of the battery, when a block begins."),
    click.option(
        "--max-contention",
        type=SHARE,
        metavar="PERCENT",
        help="Of the timed window that others may take before its round is not valid; 2 % when left out.",
    ),
)


def gate_options(flags: Mapping[str, Any]) -> GateOptions:
    """Return the gate that the flags say."""
    return GateOptions(
        wanted=flags["gate"],
        wait_s=flags["gate_wait"],
        max_temperature_c=flags["max_temperature"],
        max_other_load=flags["max_other_load"],
        governor=flags["governor"],
        min_charge=flags["min_charge"],
        max_contention=flags["max_contention"],
    )

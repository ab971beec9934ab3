"""The flags of `compress` that say where and how it measures what it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.gate_flags import GATE_FLAGS, gate_options
from steelyard.cli.parameters import DURATION
from steelyard.cli.session import choose_device

if TYPE_CHECKING:
    from steelyard.control.measurement_request import StepMeasuring
    from steelyard.control.plans import MeasurementOptions

TIMING_FLAGS = (
    click.option("--budget", type=DURATION, default="5m", show_default=True, help="Device time of a measurement."),
    click.option(
        "--min-rounds", type=click.IntRange(3, 1000), default=10, show_default=True, help="Of a measurement, at least."
    ),
    click.option(
        "--max-rounds", type=click.IntRange(3, 1000), default=40, show_default=True, help="Of a measurement, at most."
    ),
    click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Of the runtime there."),
    click.option("--device-wait", type=DURATION, default="30s", show_default=True, help="For the device to connect."),
    *GATE_FLAGS,
)
STEP_MEASURING_FLAGS = (
    click.option(
        "--measure-steps/--no-measure-steps",
        default=None,
        help="Measure what each step made on the device, beside MODEL.  [default: when --device names one]",
    ),
    click.option("--local", is_flag=True, help="Measure on this machine, also when CI is set."),
    *TIMING_FLAGS,
)


def timing_options(flags: Mapping[str, Any]) -> MeasurementOptions:
    """Return the options that ``TIMING_FLAGS`` say."""
    from steelyard.control.plans import MeasurementOptions

    return MeasurementOptions(
        budget_s=flags["budget"],
        min_round_count=min(flags["min_rounds"], flags["max_rounds"]),
        max_round_count=flags["max_rounds"],
        device_wait_s=flags["device_wait"],
        thread_count=flags["threads"],
        gate=gate_options(flags),
    )


def step_measuring(ctx: click.Context, recipes: Sequence[str], flags: Mapping[str, Any]) -> StepMeasuring | None:
    """Return how a compression measures, None where neither a recipe nor a flag asks for it.

    Raises:
        UsageError: nobody says on which device, or what is said contradicts itself.
    """
    from steelyard.compress.recipe_text import load_recipe
    from steelyard.control.measurement_request import StepMeasuring
    from steelyard.control.pools import parse_pool

    device: str = flags["device"]
    each_step = flags["measure_steps"]
    if each_step is None:
        each_step = flags["local"] or (bool(device) and parse_pool(device) is None)
    if not (each_step or any(load_recipe(one).needs_latency for one in recipes)):
        return None
    return StepMeasuring(
        device=choose_device(ctx, device, local=flags["local"]),
        options=timing_options(flags),
        each_step=bool(each_step),
    )

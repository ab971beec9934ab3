"""The flags of `measure` and `compare` that say how one inference follows another, and which settings are varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from steelyard.cli.parameters import AXIS, DURATION, STATE, STEPS
from steelyard.control.axes import AXES
from steelyard.control.mode_plan import MODES, MOST_BATCH, ModeOptions

MODE_FLAGS = (
    click.option(
        "--mode",
        type=click.Choice(list(MODES)),
        default="single-stream",
        show_default=True,
        help="How one inference follows another.",
    ),
    click.option(
        "--batch", type=click.IntRange(1, MOST_BATCH), help="Samples in one inference; the model's own when left out."
    ),
    click.option("--rate", type=float, default=0.0, metavar="HZ", help="Paced: arrivals a second."),
    click.option("--random-arrivals", is_flag=True, help="Paced: exponential gaps instead of even ones."),
    click.option("--streams", type=click.IntRange(1, 64), help="Multi-stream: sessions at the same time."),
    click.option("--duration", type=DURATION, help="Sustained: length of the curve, such as 5m."),
    click.option("--point", type=DURATION, help="Sustained: length of a point; by the curve when left out."),
    click.option("--steps", type=STEPS, metavar="1,16,64", help="Stepwise: numbers of steps to state times at."),
    click.option(
        "--state",
        "states",
        type=STATE,
        multiple=True,
        metavar="INPUT=OUTPUT",
        help="Stepwise: an input and the output of the last step that it is fed with; repeatable.",
    ),
    click.option(
        "--vary",
        "axes",
        type=AXIS,
        multiple=True,
        metavar="AXIS=V1,V2",
        help=f"Measure each of these settings side by side; repeatable, for all combinations. Axes: {', '.join(AXES)}. "
        "Semicolons between values that have commas.",
    ),
)


def mode_options(flags: Mapping[str, Any]) -> ModeOptions:
    """Return the mode that the flags say.

    Raises:
        click.BadParameter: an input whose state is named twice.
    """
    return ModeOptions(
        name=flags["mode"],
        rate_hz=flags["rate"],
        random_arrivals=flags["random_arrivals"],
        stream_count=flags["streams"] or 0,
        duration_s=flags["duration"] or 0.0,
        point_s=flags["point"] or 0.0,
        step_counts=flags["steps"] or (),
        state_outputs=_once("--state", flags["states"]),
    )


def varied_axes(flags: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the values by axis.

    Raises:
        click.BadParameter: an axis that is named twice.
    """
    return _once("--vary", flags["axes"])


def _once(flag: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise click.BadParameter(f"{flag} names {twice!r} twice: give it once")
    return found

"""The flags of ``steelyard-agent measure`` that say how one inference follows another."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from steelyard_agent.errors import UsageError
from steelyard_agent.worker.block import Timing
from steelyard_agent.worker.modes import MODES, MOST_BATCH, SINGLE_STREAM, Mode

DEFAULT_ROUNDS = 5

_UNITS_MS = {"ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
# What a mode calls its fields, and what a person types.
_FLAGS = {
    "rate_hz": "--rate",
    "random_arrivals": "--random-arrivals",
    "stream_count": "--streams",
    "duration_ms": "--duration in ms",
    "point_ms": "--point in ms",
    "step_counts": "--steps",
    "state_outputs": "--state",
}


def add_mode_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags; ``mode_of`` reads what was given."""
    parser.add_argument(
        "--mode", choices=MODES, default=SINGLE_STREAM, help="how one inference follows another (default: one stream)"
    )
    parser.add_argument(
        "--batch",
        type=_batch,
        default=0,
        metavar="N",
        help="samples in one inference (default: the model's own, else 1)",
    )
    parser.add_argument("--rate", type=float, default=0.0, metavar="HZ", help="paced: arrivals a second")
    parser.add_argument("--random-arrivals", action="store_true", help="paced: exponential gaps instead of even ones")
    parser.add_argument("--streams", type=int, default=0, metavar="N", help="multi-stream: sessions at the same time")
    parser.add_argument("--duration", type=_duration_ms, default=0, metavar="2m", help="sustained: length of the curve")
    parser.add_argument(
        "--point",
        type=_duration_ms,
        default=0,
        metavar="5s",
        help="sustained: length of a point (default: by the curve)",
    )
    parser.add_argument(
        "--steps", type=_steps, default=(), metavar="1,16,64", help="stepwise: numbers of steps to state times at"
    )
    parser.add_argument(
        "--state",
        action="append",
        type=_state,
        default=[],
        metavar="INPUT=OUTPUT",
        help="stepwise: an input and the output of the last step that it is fed with; repeat for more",
    )


def mode_of(options: argparse.Namespace) -> Mode:
    """Return the mode that the flags ask for.

    Raises:
        UsageError: a flag is missing, belongs to another mode, or has a value that makes no sense.
    """
    timing = Timing()
    try:
        mode = Mode(
            name=options.mode,
            rate_hz=options.rate,
            random_arrivals=options.random_arrivals,
            stream_count=options.streams,
            duration_ms=options.duration,
            point_ms=options.point,
            step_counts=options.steps,
            state_outputs=_by_input(options.state),
        )
        mode.window_ms(timing.sample_window_ms, timing.min_sample_count)
    except ValueError as error:
        sentence = re.sub("|".join(_FLAGS), lambda found: _FLAGS[found[0]], str(error))
        raise UsageError("bad_mode", f"--mode {options.mode}: {sentence}") from error
    return mode


def _by_input(states: Sequence[tuple[str, str]]) -> dict[str, str]:
    by_input = dict(states)
    if len(by_input) < len(states):
        twice = next(name for name, _ in states if [other for other, _ in states].count(name) > 1)
        raise UsageError("state_given_twice", f"--state names input {twice!r} twice; give it once")
    return by_input


def _batch(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MOST_BATCH):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number between 1 and {MOST_BATCH}")
    return int(text)


def _duration_ms(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None or not 0 < float(found[1]) < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 500ms, 30s, 2m or 1h")
    return round(float(found[1]) * _UNITS_MS[found[2]])


def _steps(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 1,16,64")
    return tuple(map(int, parts))


def _state(text: str) -> tuple[str, str]:
    name, equals, output = text.partition("=")
    if not (name and equals and output):
        raise argparse.ArgumentTypeError(f"{text!r} is not INPUT=OUTPUT")
    return name, output

"""Types of flags: durations, shapes, sizes. Each refuses with the value and an example."""

from __future__ import annotations

import re

import click

_DURATION = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
# Far beyond any measurement, and safe in every unit that travels (int64 milliseconds).
_MAX_DURATION_S = 10_000 * 3600.0
# Sizes travel as int64; a device refuses them above this.
_MAX_SIZE = 2**31 - 1
_SHAPE = re.compile(r"(?P<name>.+)=(?P<sizes>[0-9]+(?:x[0-9]+)*)")


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """A time such as 90s, 10m or 1.5h, as seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a time such as 90s, 10m or 1.5h", param, ctx)
        seconds = float(match["number"]) * _SECONDS[match["unit"]]
        if not 0 < seconds <= _MAX_DURATION_S:
            self.fail(f"{value!r} is not more than 0 and at most {_MAX_DURATION_S / 3600:.0f}h", param, ctx)
        return seconds


class InputShape(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """NAME=1x3x224x224, as (name, sizes)."""

    name = "shape"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """Return the input's name and its sizes."""
        if isinstance(value, tuple):
            return value
        match = _SHAPE.fullmatch(str(value))
        sizes = tuple(int(size) for size in match["sizes"].split("x")) if match else ()
        if match is None or 0 in sizes:
            self.fail(f"{value!r} is not a shape such as image=1x3x224x224", param, ctx)
        if max(sizes) > _MAX_SIZE:
            self.fail(f"{value!r} has the size {max(sizes)}, which is more than {_MAX_SIZE}", param, ctx)
        return match["name"], sizes


DURATION = Duration()
INPUT_SHAPE = InputShape()

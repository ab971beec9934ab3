"""Types of flags: durations, shapes, sizes. Each refuses with the value and an example."""

from __future__ import annotations

import re

import click

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_SHAPE = re.compile(r"(?P<name>.+)=(?P<sizes>\d+(?:x\d+)*)")


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
        return float(match["number"]) * _SECONDS[match["unit"]]


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
        return match["name"], sizes


DURATION = Duration()
INPUT_SHAPE = InputShape()

"""Types of flags: durations, shapes, cores, shares. Each refuses with the value and an example."""

from __future__ import annotations

import re

import click

from steelyard.control.plans import CORE_KINDS

_DURATION = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
# Far beyond any measurement, and safe in every unit that travels (int64 milliseconds).
_MAX_DURATION_S = 10_000 * 3600.0
# Sizes travel as int64; a device refuses them above this.
_MAX_SIZE = 2**31 - 1
_MAX_CORE = 65_535
_MAX_CORE_COUNT = 4096
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


class Cores(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """big, little or 0-3,6: a kind of cores as text, or cores by number as a tuple."""

    name = "cores"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str | tuple[int, ...]:
        """Return the kind, or the numbers in rising order."""
        if isinstance(value, tuple) or value in CORE_KINDS:
            return value
        cores: set[int] = set()
        for part in str(value).split(","):
            match = re.fullmatch(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?", part.strip(), re.ASCII)
            first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
            if not first <= last <= _MAX_CORE:
                self.fail(f"{value!r} is not big, little or cores such as 0-3,6 (at most {_MAX_CORE})", param, ctx)
            cores.update(range(first, last + 1))
        if len(cores) > _MAX_CORE_COUNT:
            self.fail(f"{value!r} names {len(cores)} cores, more than {_MAX_CORE_COUNT}", param, ctx)
        return tuple(sorted(cores))


class Share(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """A percentage such as 30% or 2.5, as a share from 0 to 1."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the share."""
        if isinstance(value, (int, float)):
            return float(value)
        match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?) ?%?", str(value).strip(), re.ASCII)
        if match is None or float(match[1]) > 100:
            self.fail(f"{value!r} is not a percentage from 0 to 100, such as 30%", param, ctx)
        return float(match[1]) / 100


CORES = Cores()
DURATION = Duration()
INPUT_SHAPE = InputShape()
SHARE = Share()

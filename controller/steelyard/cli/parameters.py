"""Types of flags: durations, shapes, cores, shares. Each refuses with the value and an example."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import click

from steelyard.control.axes import parse_axis
from steelyard.control.written_values import parse_cores, parse_count, parse_shape
from steelyard.durations import parse_duration
from steelyard.errors import UsageError


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """A time such as 90s, 10m or 1.5h, as seconds."""

    name = "duration"

    def __init__(self, *, may_be_zero: bool = False) -> None:
        """Take more than 0, or 0 as well."""
        self._may_be_zero = may_be_zero

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return parse_duration(str(value), may_be_zero=self._may_be_zero)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Until(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """A time from now on (14d), as a timedelta, or a day or moment (2026-12-24, UTC where it says no zone)."""

    name = "until"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | datetime:
        """Return how long from now on, or the moment with its time zone."""
        if isinstance(value, timedelta | datetime):
            return value
        text = str(value)
        if re.fullmatch(r"[0-9]{4}-.*", text) is None:
            try:
                return timedelta(seconds=parse_duration(text))
            except ValueError as error:
                self.fail(f"{error}; a day is written 2026-12-24", param, ctx)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no day such as 2026-12-24", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


class InputShape(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """NAME=1x3x224x224, as (name, sizes)."""

    name = "shape"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """Return the input's name and its sizes."""
        if isinstance(value, tuple):
            return value
        try:
            return parse_shape(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Cores(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """big, little or 0-3,6: a kind of cores as text, or cores by number as a tuple."""

    name = "cores"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str | tuple[int, ...]:
        """Return the kind, or the numbers in rising order."""
        if isinstance(value, tuple):
            return value
        try:
            return parse_cores(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


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


class Axis(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """AXIS=V1,V2,..., as (axis, values)."""

    name = "axis"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[str, ...]]:
        """Return the axis and its values."""
        if isinstance(value, tuple):
            return value
        try:
            return parse_axis(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Steps(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """1,16,64, as whole numbers."""

    name = "steps"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers in their order."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(parse_count(part) for part in str(value).split(","))
        except ValueError as error:
            self.fail(f"{error}; write numbers of steps such as 1,16,64", param, ctx)


class State(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    """INPUT=OUTPUT, as a pair."""

    name = "state"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return the names."""
        if isinstance(value, tuple):
            return value
        name, equals, output = str(value).partition("=")
        if not (name and equals and output):
            self.fail(f"{value!r} is not INPUT=OUTPUT", param, ctx)
        return name, output


AXIS = Axis()
CORES = Cores()
DURATION = Duration()
DURATION_OR_NONE = Duration(may_be_zero=True)
INPUT_SHAPE = InputShape()
SHARE = Share()
STATE = State()
STEPS = Steps()
UNTIL = Until()

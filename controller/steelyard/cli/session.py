"""What most commands share: settings from the flags, a connected client, the first line, JSON or people's words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.visible import visible
from steelyard.errors import SteelyardError, UsageError
from steelyard.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.control.client import Client

LOCAL = "local"


def settings_of(ctx: click.Context, more_flags: Mapping[str, object] | None = None) -> Settings:
    """Return the settings: flags (``more_flags`` are the command's own), then environment, project file, user file."""
    flags: Mapping[str, object] = ctx.find_root().obj or {}
    return load_settings({**flags, **(more_flags or {})})


def state_directory_of(ctx: click.Context) -> Path:
    """Return the state directory whose files a command reads or makes itself.

    Raises:
        UsageError: ``other_machine``: a controller elsewhere was named, and its files are out of reach.
    """
    settings = settings_of(ctx)
    if settings.controller is not None and not settings.controller.startswith("unix:"):
        raise UsageError(
            "other_machine",
            f"the files of controller {settings.controller} are not on this machine: run this command on that one, "
            "or leave --controller (STEELYARD_CONTROLLER) out",
        )
    return settings.state_directory


@contextmanager
def connected(ctx: click.Context) -> Iterator[Client]:
    """Yield a client of the controller that is named, found or started."""
    from steelyard.control.connect import connect

    ended = "done"

    def say_guests() -> None:
        say(f"{ended}; another command uses this controller, which ends with it (Ctrl-C ends both)")

    with connect(settings=settings_of(ctx), on_guests=say_guests) as client:
        try:
            yield client
        except SteelyardError as error:
            # Said now: the command's own last line comes when the other one has ended.
            ended = f"failed: {error}"
            raise


def choose_device(ctx: click.Context, device: str | None, *, local: bool) -> str:
    """Return the device to use: the one that was named, else this machine.

    A gate must not measure its own runner by accident: with CI set, this machine is taken only with --local.

    Raises:
        UsageError: no device was named in CI, or two were.
    """
    if device and local and device != LOCAL:
        raise UsageError("two_devices", f"--device {device} and --local name two devices: give one of them")
    if device:
        return device
    if local or settings_of(ctx).local_allowed:
        return LOCAL
    raise UsageError(
        "no_device",
        "no device was named, and CI is set: name one with --device NAME, or say --local to measure this machine",
    )


def console(*, stderr: bool = False) -> Console:
    """Return a console that is plain when piped and honours NO_COLOR; brackets and colons in a text are just that."""
    from steelyard.cli.terminal import VisibleConsole

    return VisibleConsole(stderr=stderr, highlight=False, soft_wrap=False, markup=False, emoji=False)


def emit_json(kind: str, payload: Mapping[str, Any]) -> None:
    """Print one JSON document with its schema version on stdout."""
    from steelyard.report.plain import document

    click.echo(json.dumps(document(kind, payload), indent=2, allow_nan=False))


def say(text: str) -> None:
    """Print a line of progress or identity on stderr; results alone go to stdout."""
    click.echo(visible(text), err=True)


def is_terminal() -> bool:
    """Return whether progress has somebody to look at it."""
    return sys.stderr.isatty()


def human_duration(seconds: float) -> str:
    """Return a duration for people: "45 s", "2 min 5 s", "1 h 10 min"."""
    whole = max(1, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"

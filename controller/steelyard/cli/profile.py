"""`steelyard profile`: the agent's own command, asked by subprocess.

The schema of a profile is the agent's, which reads profiles on every device. Agent and controller never import each
other and are always installed together, so its command is the one place where a profile is checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import click

from steelyard.cli.session import LOCAL, connected, say
from steelyard.cli.visible import visible
from steelyard.errors import EXIT_BUG, EXIT_INFRASTRUCTURE, EXIT_INTERRUPTED, EXIT_USAGE, SteelyardError

_PREFIX = "steelyard-agent: "
_EXIT_CODES = frozenset({EXIT_USAGE, EXIT_INFRASTRUCTURE, EXIT_BUG, EXIT_INTERRUPTED})
_PROFILES_HELP = "A folder with profiles of yours (*.toml), beside the shipped ones."


@click.group()
def profile() -> None:
    """List, show, check and draft board profiles."""


@profile.command("list")
@click.option("--profiles", metavar="DIR", help=_PROFILES_HELP)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def list_profiles(profiles: str | None, as_json: bool) -> None:
    """List the profiles that are shipped and yours.

    \b
    Examples:
      steelyard profile list
      steelyard profile list --profiles ./boards
    """
    _ask_agent("list", [*_folder(profiles), *_json(as_json=as_json)])


@profile.command("show")
@click.argument("name", metavar="PROFILE")
@click.option("--profiles", metavar="DIR", help=_PROFILES_HELP)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def show_profile(name: str, profiles: str | None, as_json: bool) -> None:
    """Show what is known of boards of a kind, each entry with its source.

    \b
    Example:
      steelyard profile show raspberry-pi-5
    """
    _ask_agent("show", [*_folder(profiles), *_json(as_json=as_json), "--", name])


@profile.command("check")
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="The profile as JSON on stdout.")
def check_profile(file: str, as_json: bool) -> None:
    """Check a profile of yours against the schema.

    What is wrong is one sentence that names the key.

    \b
    Example:
      steelyard profile check my-board.toml
    """
    _ask_agent("check", [*_json(as_json=as_json), "--", file])


@profile.command("new")
@click.option("--device", metavar="DEVICE", help="The device to draft from; without one, this machine is probed.")
@click.option("--output", "-o", metavar="FILE", help="Where to write; without one, to stdout.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.pass_context
def new_profile(ctx: click.Context, device: str | None, output: str | None, force: bool) -> None:
    """Draft a profile from what a device says of itself.

    What a probe cannot know is marked TODO.

    \b
    Examples:
      steelyard profile new -o my-board.toml
      steelyard profile new --device kitchen-pi -o kitchen-pi.toml
    """
    options = [*(("--output", output) if output else ()), *(("--force",) if force else ())]
    if device is None or device == LOCAL:
        _ask_agent("new", options)
        return
    _ask_agent("new", [*options, "--from", "-"], standard_input=_described(ctx, device))


def _described(ctx: click.Context, device: str) -> str:
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        return json.dumps(to_plain(client.device(device)))


def _folder(profiles: str | None) -> list[str]:
    return ["--profiles", profiles] if profiles is not None else []


def _json(*, as_json: bool) -> list[str]:
    return ["--json"] if as_json else []


def _ask_agent(action: str, options: Sequence[str], *, standard_input: str = "") -> None:
    """Run `steelyard-agent profile` and say what it said.

    Raises:
        SteelyardError: It refused; with its sentence and its exit code.
    """
    done = subprocess.run(
        [sys.executable, "-m", "steelyard_agent", "profile", action, *options],
        input=standard_input,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    said = [line.removeprefix(_PREFIX) for line in done.stderr.splitlines() if line.strip()]
    if done.returncode != 0:
        error = SteelyardError("profile_refused", said[-1] if said else "the agent's profile command said nothing")
        # An interpreter that fails by itself ends with 1, our code of a regression.
        error.exit_code = done.returncode if done.returncode in _EXIT_CODES else EXIT_BUG
        raise error
    for line in said:
        say(line)
    click.echo(visible(done.stdout), nl=False)

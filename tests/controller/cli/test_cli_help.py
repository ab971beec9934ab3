"""Every command says what it is for, shows an example, and explains each option."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from steelyard import __version__
from steelyard.cli.main import COMMANDS, cli
from tests.controller.cli.running import run_command


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = list(commands())
LEAVES = [(path, command) for path, command in ALL if not isinstance(command, click.Group)]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_help_ends_well_and_says_what_the_command_is_for(path: tuple[str, ...], command: click.Command) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: cli {' '.join(path)}")
    assert command.get_short_help_str()


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_shows_an_example_that_its_parser_takes(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help is not None
    examples = re.findall(r"^\s+steelyard (.*)$", command.help, re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)
        # Where the output goes is the shell's; a condition with ">" stands in quotes.
        assert parsed(words[: words.index(">")] if ">" in words else words) == path


def parsed(words: list[str]) -> tuple[str, ...]:
    """Parse a command line without running it, and return the command that it means."""
    group: click.Command = cli
    path: tuple[str, ...] = ()
    parent = None
    while isinstance(group, click.Group):
        # Parsing takes the options and leaves the name of the command and its own words.
        parser = group.make_parser(click.Context(group, parent=parent))
        _, words, _ = parser.parse_args(list(words))
        parent = click.Context(group, parent=parent)
        name, found, words = group.resolve_command(parent, words)
        assert name is not None
        assert found is not None
        group, path = found, (*path, name)
    group.make_context(path[-1], words, parent=parent)
    return path


@pytest.mark.parametrize(
    ("path", "command"), [((), cli), *ALL], ids=["steelyard", *(" ".join(path) for path, _ in ALL)]
)
def test_every_option_is_explained(path: tuple[str, ...], command: click.Command) -> None:
    unexplained = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert unexplained == []


def test_the_summaries_of_the_list_are_those_of_the_commands() -> None:
    listing = run_command("--help").out
    for name, (_, _, summary) in COMMANDS.items():
        assert re.search(rf"^\s+{name}\s", listing, re.MULTILINE)
        assert summary.split()[0] in listing


def test_the_exit_codes_stand_in_the_help() -> None:
    listing = run_command("--help").out
    assert "Exit codes: 0 fine, 1" in listing
    assert re.search(r"130\s+interrupted", listing)


def test_no_command_at_all_shows_the_help_and_is_a_usage_error() -> None:
    ran = run_command()
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


def test_the_version_is_the_packages() -> None:
    ran = run_command("--version")
    assert ran.code == 0
    assert __version__ in ran.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_the_program_back(shell: str) -> None:
    ran = run_command("completion", shell)
    assert ran.code == 0
    assert "_STEELYARD_COMPLETE" in ran.out
    assert ran.err == ""


def test_a_shell_that_nobody_knows_is_refused() -> None:
    assert "powershell" in run_command("completion", "powershell").is_refused()

"""Command lines that are parsed and not run: of schedules and jobs that ship with the project."""

from __future__ import annotations

import click

from steelyard.cli.main import cli


def parse(words: list[str]) -> None:
    """Parse a command line without running it."""
    command: click.Command = cli
    context: click.Context | None = None
    name: str | None = "steelyard"
    while isinstance(command, click.Group):
        context = click.Context(command, info_name=name, parent=context)
        _, words, _ = command.make_parser(context).parse_args(list(words))
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    command.make_context(name, words, parent=context)

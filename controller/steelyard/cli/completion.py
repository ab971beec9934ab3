"""`steelyard completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example:
      steelyard completion bash > ~/.local/share/bash-completion/completions/steelyard
    """
    from steelyard.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "steelyard", "_STEELYARD_COMPLETE").source())

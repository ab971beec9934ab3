"""Write docs/commands.md from the parsers of both programs; tests/docs/test_documents.py keeps the page exact.

python tools/document_commands.py
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from steelyard.cli.main import cli
from steelyard_agent.cli.arguments import build_parser

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"

_HEAD = """\
# Commands

Every command and option of both programs, with the words of their own `--help`. This page is made by
`python tools/document_commands.py`; a test fails when it is not what the programs say.

Results go to standard output, progress and errors to standard error. `--json` prints one document with
`schema_version` and `kind`. Exit codes: [controller.md](controller.md#exit-codes).
"""


def document() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *_controller(), *_agent()])


def agent_commands() -> frozenset[str]:
    """Return the first words that steelyard-agent takes."""
    return frozenset(name for name, _ in _children(build_parser()))


# -- steelyard (click) ----------------------------------------------------------------------------------------------


def _controller() -> Iterator[str]:
    root = click.Context(cli, info_name="steelyard")
    yield "## steelyard\n"
    yield from _click_command(cli, root)
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None
        yield from _click_section(command, click.Context(command, info_name=name, parent=root))


def _click_section(command: click.Command, context: click.Context) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _click_section(child, click.Context(child, info_name=name, parent=context))
        return
    yield f"### {context.command_path}\n"
    yield from _click_command(command, context)


def _click_command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    options = [one for one in command.params if isinstance(one, click.Option)]
    records = [option.get_help_record(context) for option in options]
    prose, examples = _split(command.help or "")
    yield from _section(usage, prose, [record for record in records if record is not None], examples)


def _split(help_text: str) -> tuple[list[str], list[str]]:
    """Return the paragraphs of a help text and the lines of its examples, which a backspace marks for click."""
    prose, examples = [], []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(help_text)):
        lines = [line for line in paragraph.splitlines() if line.strip() not in {"\b", r"\b"}]
        if lines and lines[0].strip() in {"Example:", "Examples:"}:
            examples += [line.strip() for line in lines[1:]]
        elif lines:
            prose.append(" ".join(line.strip() for line in lines))
    return prose, examples


# -- steelyard-agent (argparse) -------------------------------------------------------------------------------------


def _agent() -> Iterator[str]:
    parser = build_parser()
    yield "## steelyard-agent\n"
    yield from _section("steelyard-agent COMMAND", [parser.description or ""], list(_argparse_records(parser)), [])
    for name, child in _leaves(parser):
        yield f"### steelyard-agent {name}\n"
        positionals = [str(one.metavar) for one in _actions(child) if not one.option_strings]
        usage = " ".join([f"steelyard-agent {name} [OPTIONS]", *positionals])
        head, *lines = (child.epilog or "").splitlines()
        assert head == "examples:", head
        examples = [line.strip() for line in lines if line.startswith("  steelyard-agent")]
        rest = " ".join(line.strip() for line in lines if not line.startswith("  steelyard-agent"))
        rest = re.sub(r"\s*(ssh -R \S+ USER@DEVICE)", r" `\1`", rest).strip()
        yield from _section(usage, [child.description or "", rest], list(_argparse_records(child)), examples)


def _actions(parser: argparse.ArgumentParser) -> Sequence[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse offers no other way to list what a parser takes


def _children(parser: argparse.ArgumentParser) -> Iterable[tuple[str, argparse.ArgumentParser]]:
    for action in _actions(parser):
        if isinstance(action.choices, dict):
            yield from action.choices.items()


def _leaves(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the commands that do something, "profile list" and not "profile"."""
    for name, child in _children(parser):
        deeper = list(_leaves(child))
        yield from [(f"{name} {rest}", leaf) for rest, leaf in deeper] or [(name, child)]


def _argparse_records(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in _actions(parser):
        if "--help" in action.option_strings or isinstance(action.choices, dict):
            continue
        takes_value = bool(action.option_strings) and action.nargs != 0
        value = "|".join(action.choices) if action.choices else action.metavar or action.dest.upper()
        name = ", ".join(action.option_strings) or str(action.metavar)
        required = "  [required]" if action.option_strings and action.required else ""
        yield (f"{name} {value}" if takes_value else name), f"{action.help}{required}"


# -- both -----------------------------------------------------------------------------------------------------------


def _section(usage: str, prose: list[str], records: list[tuple[str, str]], examples: list[str]) -> Iterator[str]:
    yield f"`{usage}`\n"
    yield from (f"{paragraph}\n" for paragraph in prose if paragraph)
    if records:
        rows = [f"| `{_cell(name)}` | {_cell(' '.join(text.split()))} |" for name, text in records]
        yield "\n".join(["| option | |", "|---|---|", *rows]) + "\n"
    if examples:
        yield "\n".join(["```sh", *examples, "```"]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(document(), encoding="utf-8")
    print(PAGE)

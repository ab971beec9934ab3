"""`steelyard plugin`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.session import console, emit_json, say

if TYPE_CHECKING:
    from steelyard.plugins.listing import Listed

_SHOWN_DIGITS = 12


@click.group()
def plugin() -> None:
    """List what plugins bring: steps, metrics, preprocessing operations, reducers, exporters, formats."""


@plugin.command("list")
@plugin_flag
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def list_plugins(as_json: bool) -> None:
    """List what installed plugins and the files of --plugin bring, and what keeps any of it from being used.

    All of them are imported for it; other commands import what they use.

    \b
    Examples:
      steelyard plugin list
      steelyard plugin list --plugin mine.py --json
    """
    from steelyard.plugins.listing import listed_plugins

    found = listed_plugins()
    if as_json:
        emit_json("plugins", {"plugins": [_plain(one) for one in found]})
        return
    if not found:
        say("no plugin is installed here, and no file was named with --plugin")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for heading in ("brings", "kind", "plugin", "sources", "what it is"):
        table.add_column(heading, overflow="fold")
    for one in found:
        what = Text(one.problem, style="red") if one.problem else Text(one.summary)
        sources = one.origin.sha256[:_SHOWN_DIGITS]
        table.add_row(one.role, Text(one.kind), Text(f"{one.origin.name} {one.origin.version}"), sources, what)
    console().print(table)


def _plain(one: Listed) -> dict[str, Any]:
    return {
        "brings": one.role,
        "kind": one.kind,
        "plugin": one.origin.name,
        "version": one.origin.version,
        "sha256": one.origin.sha256,
        "where": one.origin.where,
        "summary": one.summary,
        "usable": not one.problem,
        "problem": one.problem,
    }

"""Names and messages from outside do not steer the terminal."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from steelyard.cli.terminal import VisibleConsole
from steelyard.cli.visible import visible


@given(st.text())
def test_visible_text_holds_no_control_character_and_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert all(character.isprintable() or ord(character) > 0x9F or character in "\t\n" for character in shown)
    assert visible(shown) == shown


def test_plain_words_stay_as_they_are() -> None:
    assert visible("modèle 🚀\tx\n") == "modèle 🚀\tx\n"


def test_escapes_and_turned_text_are_written_out() -> None:
    assert visible("\x1b[31mred \x9b2J \u202egnp") == "\\x1b[31mred \\x9b2J \\u202egnp"


def test_a_table_shows_a_devices_escapes_and_keeps_its_own_colours() -> None:
    out = io.StringIO()
    table = Table()
    table.add_column("name")
    table.add_row(Text("\x1b]0;owned\x07", style="red"))
    VisibleConsole(file=out, force_terminal=True, color_system="standard", width=60).print(table)
    # Cut to the width that rich gives to characters without one.
    assert "\\x1b]0;" in out.getvalue()
    assert "\x1b]0" not in out.getvalue()
    assert "\x1b[31m" in out.getvalue()

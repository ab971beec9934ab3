"""Rows of a name and its texts, in lines of at most 80 columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

LINE_WIDTH = 80
_NAME_WIDTH = 13


def row(name: str, texts: Sequence[str]) -> list[str]:
    """Return the name and, in a column beside it, the texts, each beginning on a line of its own."""
    lines = [line for text in texts for line in _wrapped(visible(text))] or [""]
    name = visible(name)
    names = [name, *[""] * (len(lines) - 1)]
    if len(name) >= _NAME_WIDTH:
        lines, names = ["", *lines], [name, *[""] * len(lines)]
    return [f"  {left:<{_NAME_WIDTH}}{line}".rstrip() for left, line in zip(names, lines, strict=True)]


def visible(text: str) -> str:
    """Return ``text`` with what would steer a terminal written as escapes; tabs and line ends become spaces.

    Names of boards, zones and governors come from the device, titles of profiles from whoever wrote the file.
    """
    spaced = re.sub(r"[\t\n\r\f\v]", " ", text)
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in spaced)


def _wrapped(text: str) -> list[str]:
    # Paths of sysfs hold dashes and colons and stay whole where they fit; what is longer than a line is cut.
    return wrap(text, LINE_WIDTH - _NAME_WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False)

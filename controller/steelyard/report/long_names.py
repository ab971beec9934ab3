"""Names in narrow columns: broken after a joint of theirs (``mobilenet-static-`` / ``int8``), never within a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.text import Text

# Behind joints; a point within a number (0.5) is none.
_JOINT = re.compile(r"(?<=[-_ ,+|])(?![-_. ,+|])|(?<=[^\d]\.)(?![-_. ,+|])|(?<=\d\.)(?![-_. ,+|\d])")


@dataclass(frozen=True, slots=True)
class LongName:
    """One name, or words and names, for a cell of a table."""

    name: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the widths of the longest piece and of the whole."""
        longest = max((Text(piece.rstrip()).cell_len for piece in _pieces(self.name)), default=0)
        return Measurement(longest, Text(self.name).cell_len).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield as many pieces to a line as fit; a piece wider than the column is folded."""
        for line in name_lines(self.name, options.max_width):
            yield Text(line, overflow="fold")


def name_lines(name: str, width: int) -> list[str]:
    """Return a name in lines of ``width`` cells, as many pieces to a line as fit; one piece alone may be wider."""
    lines, line = [], ""
    for piece in _pieces(name):
        if line and Text((line + piece).rstrip()).cell_len > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]


def _pieces(name: str) -> list[str]:
    return [piece for piece in _JOINT.split(name) if piece]

"""Names in narrow columns: broken after a joint of theirs (``mobilenet-static-`` / ``int8``), never within a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.text import Text

_PIECE = re.compile(r"[^-_. ]*[-_. ]*")


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
        line = ""
        for piece in _pieces(self.name):
            if line and Text((line + piece).rstrip()).cell_len > options.max_width:
                yield Text(line.rstrip(), overflow="fold")
                line = ""
            line += piece
        yield Text(line.rstrip(), overflow="fold")


def _pieces(name: str) -> list[str]:
    return [piece for piece in _PIECE.findall(name) if piece]

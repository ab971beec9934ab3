"""A console that obeys its own styles and nobody else's escape sequences."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from steelyard.cli.reader import forget_reader
from steelyard.cli.visible import visible


class VisibleConsole(Console):
    """A rich console that shows the control characters in names and messages, which models and devices choose."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with the text of every segment made visible; control segments are rich's own."""
        for segment in super().render(renderable, options):
            if segment.control is None:
                yield Segment(visible(segment.text), segment.style)
            else:
                yield segment

    def on_broken_pipe(self) -> None:
        """Say that the reader of stdout went away, and be silent on stderr; rich ends with 1, our code of a regression.

        Raises:
            BrokenPipeError: stdout.
        """
        if not self.stderr:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        self.quiet = True
        forget_reader(sys.stderr)

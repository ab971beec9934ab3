"""A console that obeys its own styles and nobody else's escape sequences."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

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

"""Text that GitHub-flavoured Markdown takes as it is, and what is built of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

# What Markdown, or a table in it, would take for its own; names come from files and devices.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@])")


def safe_text(text: str) -> str:
    """Return a text on one line, with everything escaped that means something to Markdown."""
    return _SPECIAL.sub(r"\\\1", text).replace("\n", " ").replace("\r", " ")


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, figures: Collection[str] = ()) -> str:
    """Return a table of texts, which are escaped; columns whose head is among ``figures`` are to the right."""
    lines = [_line(heads), _line(["--:" if head in figures else "---" for head in heads])]
    lines += [_line([safe_text(cell) for cell in row]) for row in rows]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def folded(title: str, body: str) -> str:
    """Return a part that is opened by a click."""
    return f"<details><summary>{safe_text(title)}</summary>\n\n{body}\n</details>\n"

"""Texts cut to what a service takes, at the end of a line, and saying so."""

from __future__ import annotations


def shortened(text: str, limit: int, *, url: str = "") -> str:
    """Return a text of at most ``limit`` characters; whole lines are left out at the end.

    Raises:
        ValueError: The limit is too small for saying that something was cut.
    """
    if len(text) <= limit:
        return text
    lines = text.split("\n")
    kept: list[str] = []
    room = limit - len(_cut_note(len(lines), url))
    if room < 0:
        raise ValueError(f"{limit} is too short for any text that is cut")
    for line in lines:
        size = len(line) + 1
        if size > room:
            break
        kept.append(line)
        room -= size
    return "\n".join([*kept, _cut_note(len(lines) - len(kept), url)])


def shortened_line(text: str, limit: int) -> str:
    """Return one line of at most ``limit`` characters, with "…" where it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _cut_note(line_count: int, url: str) -> str:
    where = f": {url}" if url else "; the report has all of it"
    return f"… {line_count} more lines{where}"

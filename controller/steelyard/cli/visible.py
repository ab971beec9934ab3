"""Text from models and devices on a terminal: what would steer the terminal is shown, not obeyed."""

from __future__ import annotations

import re

# C0 without tab and newline, DEL, C1, and the marks that turn the direction of text around (Unicode TR 9).
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return ``text`` with control characters written as escapes, such as ``\\x1b``; tabs and newlines stay."""
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape").decode(), text)

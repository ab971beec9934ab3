"""Markdown that calls nobody and orders nothing: names of models and devices come from files and boards."""

from __future__ import annotations

import re

# Mentions are looked for in the text that is shown, so that a backslash does not stop them; a character that nobody
# sees does. An "@" within a word (onnxruntime@older) is no mention, and is left as it is, to be copied.
_MENTION = re.compile(r"(?<!\w)\\?@(?=\w)")
_UNSEEN = "\N{ZERO WIDTH SPACE}"
# GitLab obeys lines such as "/close".
_ORDER = re.compile(r"^(\s*)/(?=[A-Za-z])", re.MULTILINE)


def harmless(markdown: str) -> str:
    """Return Markdown that shows the same, mentions nobody, and holds no quick action of GitLab's."""
    return _ORDER.sub(r"\1\\/", _MENTION.sub(f"@{_UNSEEN}", markdown))

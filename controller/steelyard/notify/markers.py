"""Hidden markers by which a comment of ours is found again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from steelyard.notify.digest import Digest
from steelyard.notify.harmless import harmless
from steelyard.notify.shortening import shortened


def marker(digest: Digest) -> str:
    """Return a comment of HTML that a page does not show: one a row of messages, so that the last one is replaced."""
    return f"<!-- steelyard {digest.key} -->"


def marked_text(digest: Digest, limit: int) -> str:
    """Return the text of a comment, at most ``limit`` characters: the marker, then the digest's Markdown."""
    start = f"{marker(digest)}\n"
    return start + shortened(harmless(digest.markdown), limit - len(start), url=digest.url)


def find_marked(comments: Iterable[Any], digest: Digest) -> int | None:
    """Return the id of the last comment that begins with the marker; one that only quotes it is somebody else's."""
    found = None
    for comment in comments:
        if isinstance(comment, dict) and str(comment.get("body", "")).startswith(marker(digest)):
            identity = comment.get("id")
            found = identity if isinstance(identity, int) else found
    return found

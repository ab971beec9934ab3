"""Refuse words that nobody knows, and say which known one was meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def meant(word: str, known: Collection[str]) -> str:
    """Return the list of known words, led by the question whether the nearest was meant when one is near."""
    nearest = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    listing = "known: " + ", ".join(sorted(known))
    return f"did you mean {nearest[0]!r}? ({listing})" if nearest else listing


def first_unknown(words: Collection[str], known: Collection[str]) -> str | None:
    """Return the first word that is not known, or None."""
    return next((word for word in words if word not in known), None)

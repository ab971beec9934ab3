"""Texts from outside that become keys, file names or lines of a table: checked here before they are used."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from steelyard.errors import UsageError

DIGEST_LENGTH = 64
# What SQLite and PostgreSQL hold; the wire has unsigned ones, up to twice that.
LARGEST_INTEGER = 2**63 - 1
MIN_PREFIX_LENGTH = 4
MAX_NAME_LENGTH = 200
# Begins the name of a model that was made to be measured; a variant with the same bytes gets the name of its recipe.
CANDIDATE_OF = "candidate of "

_DIGEST = re.compile(r"[0-9a-f]{64}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def is_digest(text: str) -> bool:
    """Say whether ``text`` is a SHA-256 in lower-case hexadecimal."""
    return _DIGEST.fullmatch(text) is not None


def require_digest(text: str, what: str) -> str:
    """Return ``text`` when it is a digest.

    Raises:
        UsageError: ``invalid_digest``; the sentence names ``what`` and the text.
    """
    if not is_digest(text):
        raise UsageError(
            "invalid_digest", f"{what} {text[:80]!r} is not a SHA-256 of {DIGEST_LENGTH} lower-case hexadecimal digits"
        )
    return text


def require_identifier(text: str, what: str) -> str:
    """Return ``text`` when it can name a row: 1 to 128 letters, digits, ``.``, ``_``, ``:`` and ``-``.

    Raises:
        UsageError: ``invalid_identifier``.
    """
    if _IDENTIFIER.fullmatch(text) is None:
        raise UsageError(
            "invalid_identifier",
            f"{what} {text[:80]!r} must be 1 to 128 letters, digits, '.', '_', ':' or '-', the first a letter or digit",
        )
    return text


def require_name(text: str, what: str) -> str:
    """Return ``text`` when people can read it in one line of a table and tell it from a digest.

    Raises:
        UsageError: ``invalid_name``.
    """
    if not text or len(text) > MAX_NAME_LENGTH or not text.isprintable() or text.strip() != text:
        raise UsageError(
            "invalid_name",
            f"{what} {text[:80]!r} ({len(text)} characters) must be 1 to {MAX_NAME_LENGTH} printable characters with "
            "no space at its ends; choose another (a model is named like its file)",
        )
    if is_digest(text):
        raise UsageError("invalid_name", f"{what} {text!r} would read as a digest; choose another name")
    return text


def near_names(text: str, names: Iterable[str]) -> str:
    """Finish the sentence of a name that was not found: the nearest known ones, or nothing."""
    near = difflib.get_close_matches(text, sorted(set(names)), n=3, cutoff=0.5)
    return f"; near: {', '.join(repr(name) for name in near)}" if near else ""

"""TOML: read by the standard library's parser (tomli before Python 3.11), and the few forms that a draft writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["toml_list", "toml_string", "tomllib"]


def toml_string(text: str) -> str:
    """Return ``text`` as a basic string of TOML 1.0, on one line; what cannot be seen is escaped.

    A lone surrogate, which UTF-8 has no form for, becomes a question mark.
    """
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return f'"{"".join(map(_character, clean))}"'


def _character(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def toml_list(texts: Sequence[str]) -> str:
    """Return ``texts`` as an array of strings on one line."""
    return f"[{', '.join(toml_string(text) for text in texts)}]"

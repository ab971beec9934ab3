"""TOML that people or other programs wrote: whatever is wrong with it is one kind of error."""

from __future__ import annotations

from typing import Any

import tomllib


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table that a text holds.

    Raises:
        ValueError: It is not TOML, has a number of thousands of digits, or nests deeper than Python's parser goes.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("its lists and tables lie too deep within each other; write fewer brackets") from error

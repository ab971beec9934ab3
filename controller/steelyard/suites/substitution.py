"""Values of the environment in a suite: ``${NAME}``, ``${NAME:-default}``; ``$$`` is a dollar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from steelyard.suites.errors import Problems

_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<odd>\{))"
)


def substitute(value: Any, environ: Mapping[str, str], place: str, problems: Problems) -> Any:
    """Return a value of TOML with every text in it substituted; keys stay as they are.

    A name that the environment has not (and without a default) is a problem; the text then stays as it is written.
    An empty value counts as one that is not there where a default is given, as in a shell.
    """
    if isinstance(value, str):
        return _text(value, environ, place, problems)
    if isinstance(value, Mapping):
        return {key: substitute(one, environ, f"{place} {key}", problems) for key, one in value.items()}
    if isinstance(value, list):
        return [substitute(one, environ, place, problems) for one in value]
    return value


def substitute_tables(tables: Mapping[str, Any], environ: Mapping[str, str], place: str) -> dict[str, Any]:
    """Return tables whose references were kept, as [notify] is.

    Raises:
        SuiteError: the environment lacks a name.
    """
    problems = Problems()
    filled: dict[str, Any] = substitute(tables, environ, place, problems)
    problems.refuse("missing_environment")
    return filled


def _text(text: str, environ: Mapping[str, str], place: str, problems: Problems) -> str:
    def value_of(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if found["odd"]:
            problems.add(
                place, f"{text!r} has a ${{ that names nothing; write ${{NAME}} or ${{NAME:-default}}, $$ for $"
            )
            return found[0]
        name, default = found["name"], found["default"]
        known = environ.get(name)
        if known is None or (known == "" and default is not None):
            if default is None:
                problems.add(
                    place, f"the environment has no {name}: set it, or write ${{{name}:-default}} for one that may lack"
                )
                return found[0]
            return default
        return known

    return _REFERENCE.sub(value_of, text)

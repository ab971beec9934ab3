"""Make what a plugin brings from a table of settings, as a task file or the command line has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from steelyard.plugins.lookup import Found, find, kinds
from steelyard.plugins.roles import ROLES
from steelyard.spelling import first_unknown, meant


def make(role: str, kind: str, settings: Mapping[str, Any], *, where: str) -> Any:
    """Return an instance of what plugins bring; lists become tuples, ``where`` begins errors.

    Raises:
        SteelyardError: of the role, where no plugin brings this kind, a setting is not known, or it refuses one.
    """
    error, noun = ROLES[role].error, ROLES[role].noun
    found = find(role, kind)
    if found is None:
        known = meant(kind, kinds(role)) if kinds(role) else "no plugin here brings one"
        raise error(
            f"unknown_{noun.replace(' ', '_')}",
            f"{where}: there is no {noun} {kind!r}; {known}; a plugin's file is named with --plugin",
        )
    known_settings = [field.name for field in dataclasses.fields(found.made)]
    unknown = first_unknown(list(settings), known_settings)
    if unknown is not None:
        hint = meant(unknown, known_settings) if known_settings else "it has no settings: leave it out"
        raise error("unknown_key", f"{where}: {noun} {kind} has the unknown key {unknown!r}; {hint}")
    return _made(found, settings)


def _made(found: Found, settings: Mapping[str, Any]) -> Any:
    return found.made(**{key: _frozen(value) for key, value in settings.items()})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list | tuple) else value

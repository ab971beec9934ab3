"""Recipes in one word: steps joined by "+", settings that are no defaults: ``equalize+static-int8,passes=3``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from steelyard.compress.contract import Step
from steelyard.compress.errors import RecipeError
from steelyard.compress.registry import step_class
from steelyard.spelling import first_unknown, meant

_READABLE = re.compile(r"[a-z0-9._-]+")
# Python reads no whole number of thousands of digits; what is longer is a text, which no setting of numbers takes.
_NUMBER = re.compile(r"-?[0-9]{1,4000}(\.[0-9]+)?(e-?[0-9]+)?")
_MOST_CHARACTERS = 120
_HASH_DIGITS = 8


def inline_text(steps: Sequence[Step]) -> str:
    """Return the steps as one word that ``parse_inline`` reads back.

    Settings that could not stand in a file name (globs, capitals), or too many of them, are hashed instead: such a name
    cannot be read back, and the recipe's TOML tells what it was.
    """
    whole = "+".join(_step_text(step) for step in steps)
    if len(whole) <= _MOST_CHARACTERS and "?" not in whole:
        return whole
    kinds = "+".join(step.kind for step in steps)[: _MOST_CHARACTERS - _HASH_DIGITS - 1]
    told = json.dumps([[step.kind, _told(step)] for step in steps], sort_keys=True, default=str)
    return f"{kinds}-{hashlib.sha256(told.encode()).hexdigest()[:_HASH_DIGITS]}"


def parse_inline(text: str) -> tuple[Step, ...]:
    """Return the steps that a word names.

    Raises:
        RecipeError: an unknown kind or setting (the nearest is named), or a value that the step refuses.
    """
    return tuple(_step(part, text) for part in text.split("+"))


def _step(part: str, text: str) -> Step:
    kind, *settings = part.split(",")
    found = step_class(kind)
    known = {field.name: field for field in dataclasses.fields(found)}
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        unknown = first_unknown([key], tuple(known))
        if unknown is not None:
            raise RecipeError("unknown_key", f"{text!r}: {kind} has no setting {key!r}; {meant(key, tuple(known))}")
        if not equals:
            raise RecipeError("invalid_setting", f"{text!r}: {kind}: {key} has no value; write {key}=VALUE")
        if key in values:
            raise RecipeError("invalid_setting", f"{text!r}: {kind}: {key} stands there twice; leave one of them out")
        values[key] = _list(value) if isinstance(known[key].default, tuple) else _value(value)
    return found(**values)


def _list(text: str) -> tuple[object, ...]:
    return tuple(_value(one) for one in text.split("|") if one)


def _value(text: str) -> object:
    if text in {"true", "false"}:
        return text == "true"
    if _NUMBER.fullmatch(text):
        return float(text) if set(text) & set(".e") else int(text)
    return text


def _told(step: Step) -> dict[str, object]:
    """Return the settings that are no defaults."""
    return {
        field.name: getattr(step, field.name)
        for field in dataclasses.fields(step)
        if getattr(step, field.name) != field.default
    }


def _step_text(step: Step) -> str:
    return ",".join([step.kind, *(f"{key}={_value_text(value)}" for key, value in _told(step).items())])


def _value_text(value: object) -> str:
    """Return a value as it stands in a name, "?" where it cannot."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "|".join(_value_text(one) for one in value)
    text = repr(value) if isinstance(value, int | float) else str(value)
    # A text that would be read back as a number or a truth value must not stand there.
    misread = isinstance(value, str) and _value(text) != value
    return text if _READABLE.fullmatch(text) and not misread else "?"

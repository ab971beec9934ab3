"""Checks of the settings that a recipe gives to a step."""

from __future__ import annotations

from steelyard.compress.errors import RecipeError
from steelyard.spelling import meant

AUTO = "auto"
_MOST = 1_000_000_000


def require_choice(kind: str, key: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of ``choices``.

    Raises:
        RecipeError: invalid_setting.
    """
    if not isinstance(value, str):
        raise RecipeError("invalid_setting", f"{kind}: {key} is {value!r}; write one of {', '.join(choices)} in quotes")
    if value not in choices:
        raise RecipeError("invalid_setting", f"{kind}: {key} is {value!r}; {meant(value, choices)}")


def require_boolean(kind: str, key: str, value: object) -> None:
    """Refuse anything but true and false.

    Raises:
        RecipeError: invalid_setting.
    """
    if not isinstance(value, bool):
        raise RecipeError("invalid_setting", f"{kind}: {key} is {value!r}; write true or false")


def require_boolean_or_auto(kind: str, key: str, value: object) -> None:
    """Refuse anything but true, false and "auto".

    Raises:
        RecipeError: invalid_setting.
    """
    if not isinstance(value, bool) and value != AUTO:
        raise RecipeError("invalid_setting", f'{kind}: {key} is {value!r}; write true, false or "auto"')


def require_count(kind: str, key: str, value: object, *, least: int = 1) -> None:
    """Refuse anything but a whole number from ``least`` to a thousand million, which progress can still count.

    Raises:
        RecipeError: invalid_setting.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RecipeError("invalid_setting", f"{kind}: {key} is {value!r}; write a whole number of {least} or more")
    if value > _MOST:
        raise RecipeError("invalid_setting", f"{kind}: {key} is beyond {_MOST:,}; write a whole number below it")


def require_number(kind: str, key: str, value: object, *, least: float, most: float) -> None:
    """Refuse anything but a number from ``least`` to ``most``.

    Raises:
        RecipeError: invalid_setting.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise RecipeError("invalid_setting", f"{kind}: {key} is {value!r}; write a number from {least} to {most}")


def require_globs(kind: str, key: str, value: object) -> None:
    """Refuse anything but a list of texts, which are patterns of names.

    Raises:
        RecipeError: invalid_setting.
    """
    if not isinstance(value, tuple | list) or not all(isinstance(one, str) and one for one in value):
        raise RecipeError("invalid_setting", f'{kind}: {key} is {value!r}; write a list of patterns: ["head*"]')

"""Checks of the settings that a task file gives to a metric."""

from __future__ import annotations

import math

from steelyard.spelling import meant
from steelyard.tasks.errors import TaskError

_BEYOND_INTEGERS = 2**63


def require_choice(kind: str, key: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of ``choices``.

    Raises:
        TaskError: invalid_setting.
    """
    if not isinstance(value, str):
        raise _refusal(kind, key, value, f"write one of {', '.join(choices)} in quotes")
    if value not in choices:
        raise _refusal(kind, key, value, meant(value, choices))


def require_boolean(kind: str, key: str, value: object) -> None:
    """Refuse anything but true and false.

    Raises:
        TaskError: invalid_setting.
    """
    if not isinstance(value, bool):
        raise _refusal(kind, key, value, "write true or false")


def require_whole(kind: str, key: str, value: object, *, least: int, most: int) -> None:
    """Refuse anything but a whole number from ``least`` to ``most``.

    Raises:
        TaskError: invalid_setting.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _refusal(kind, key, value, f"write a whole number from {least} to {most}")


def require_number(kind: str, key: str, value: object, *, least: float, most: float) -> None:
    """Refuse anything but a number from ``least`` to ``most``.

    Raises:
        TaskError: invalid_setting.
    """
    if not _is_number(value) or not least <= float(value) <= most:  # type: ignore[arg-type]
        raise _refusal(kind, key, value, f"write a number from {least:g} to {most:g}")


def require_text(kind: str, key: str, value: object) -> None:
    """Refuse anything but a text.

    Raises:
        TaskError: invalid_setting.
    """
    if not isinstance(value, str):
        raise _refusal(kind, key, value, "write a text in quotes")


def require_texts(kind: str, key: str, value: object) -> None:
    """Refuse anything but a list of different texts, none of them empty.

    Raises:
        TaskError: invalid_setting.
    """
    fits = isinstance(value, tuple) and all(isinstance(item, str) and item for item in value)
    if not fits or len(set(value)) < len(value):  # type: ignore[arg-type, call-overload]
        raise _refusal(kind, key, value, "write a list of different texts in quotes")


def require_positive_numbers(kind: str, key: str, value: object, *, count: int | None = None) -> None:
    """Refuse anything but a list of numbers above 0, ``count`` of them where that is given.

    Raises:
        TaskError: invalid_setting.
    """
    fits = isinstance(value, tuple) and all(_is_number(item) and item > 0 for item in value)
    if not fits or (count is not None and len(value) != count):  # type: ignore[arg-type]
        how_many = "" if count is None else f"{count} "
        raise _refusal(kind, key, value, f"write a list of {how_many}numbers above 0")


def require_positive_whole_numbers(kind: str, key: str, value: object, *, count: int | None = None) -> None:
    """Refuse anything but a list of whole numbers above 0, ``count`` of them where that is given.

    Raises:
        TaskError: invalid_setting.
    """
    require_positive_numbers(kind, key, value, count=count)
    if not all(isinstance(item, int) for item in value):  # type: ignore[attr-defined]
        raise _refusal(kind, key, value, "write whole numbers")


def _is_number(value: object) -> bool:
    if isinstance(value, int):
        # TOML takes integers of any length, which no float holds.
        return not isinstance(value, bool) and abs(value) < _BEYOND_INTEGERS
    return isinstance(value, float) and math.isfinite(value)


def _refusal(kind: str, key: str, value: object, next_step: str) -> TaskError:
    return TaskError("invalid_setting", f"metric {kind}: {key} is {value!r}; {next_step}")

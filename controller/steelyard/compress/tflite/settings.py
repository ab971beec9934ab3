"""Refuse settings of a step that TFLite models cannot honour; defaults always work."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from steelyard.compress.contract import Step
from steelyard.compress.errors import CompressionInputError

# Settings whose every value is honoured, wherever a step has them.
WITH_ANY_VALUE = frozenset({"keep_float", "percentile"})


def refuse_unhonoured(step: Step, honoured: Mapping[str, tuple[object, ...]], instead: Mapping[str, str]) -> None:
    """Refuse a setting that is neither its default nor among those that ``honoured`` lists by name.

    Args:
        step: the step with its settings.
        honoured: values by name of setting that TFLite models take beside the default.
        instead: by name of setting, the end of the sentence: why not, and what to write.

    Raises:
        CompressionInputError: unsupported_setting.
    """
    for field in dataclasses.fields(step):
        value = getattr(step, field.name)
        if value == field.default or field.name in WITH_ANY_VALUE or value in honoured.get(field.name, ()):
            continue
        reason = instead.get(field.name, "which TFLite models cannot honour; leave it out")
        raise CompressionInputError("unsupported_setting", f"{step.kind}: {field.name} is {value!r}, {reason}")


def globs_of(step: Step, name: str) -> tuple[str, ...]:
    """Return a setting that is a list of patterns, () for a step without it."""
    value = getattr(step, name, ())
    return tuple(str(one) for one in value) if isinstance(value, list | tuple) else ()


def setting(step: Step, name: str, default: object) -> object:
    """Return a setting, or ``default`` for a step that does not have it."""
    return getattr(step, name, default)

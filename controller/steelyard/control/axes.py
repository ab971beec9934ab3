"""Axes of a plan: the settings that are varied, and the combinations of their values that are measured side by side.

A value is written as its flag takes it. Values are separated by commas, or by semicolons where one has commas itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.control.model_labels import MOST_LABEL_CHARACTERS
from steelyard.control.written_values import parse_cores, parse_count, parse_shape, parse_switch
from steelyard.errors import UsageError

# As many as a plan has artifacts.
MOST_COMBINATIONS = 64
# How the agent's own Python is written among the runtime environments of a device.
OWN_ENVIRONMENT = "own"
Value = str | int | bool
_Changes = dict[str, object]


def _shapes(text: str) -> _Changes:
    return {"input_shapes": dict(parse_shape(one) for one in text.split(","))}


# What a value of each axis changes in the options of a measurement.
_AXES: Mapping[str, Callable[[str], _Changes]] = {
    "runtime": lambda text: {"runtime": text},
    "env": lambda text: {"environment": "" if text == OWN_ENVIRONMENT else text},
    "provider": lambda text: {"providers": (text,)},
    "threads": lambda text: {"thread_count": parse_count(text)},
    "cores": lambda text: {"cores": parse_cores(text)},
    "spinning": lambda text: {"spinning": parse_switch(text)},
    "arena": lambda text: {"arena": parse_switch(text)},
    "graph-optimization": lambda text: {"graph_optimization": text},
    "batch": lambda text: {"batch_size": parse_count(text)},
    "shape": _shapes,
}
AXES = tuple(_AXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """One value of every axis: in words ("threads=2 spinning=off"), and the options that it changes."""

    words: str
    changes: Mapping[str, object]

    def label(self, base: str) -> str:
        """Return the label of a model under this combination.

        Raises:
            UsageError: it is longer than a label may be.
        """
        label = f"{base} {self.words}".rstrip()
        if len(label) > MOST_LABEL_CHARACTERS:
            raise _bad(
                f"the label {label!r} has {len(label)} characters, more than {MOST_LABEL_CHARACTERS}: vary fewer axes "
                "at once or give the model a shorter label"
            )
        return label


def split_values(text: str) -> tuple[str, ...]:
    """Return the values of an axis: separated by semicolons where there is one, else by commas."""
    return tuple(part.strip() for part in text.split(";" if ";" in text else ","))


def parse_axis(text: str) -> tuple[str, tuple[str, ...]]:
    """Read AXIS=V1,V2,...: the name of an axis and its values.

    Raises:
        UsageError: one sentence that names the text.
    """
    name, equals, values = text.partition("=")
    if not equals:
        raise _bad(f"--vary {text} is not AXIS=VALUE,VALUE such as threads=1,2")
    return name, split_values(values)


def combinations(vary: Mapping[str, Sequence[Value]]) -> list[Combination]:
    """Return the cross product of the axes, the last one turning fastest; one without changes where nothing is varied.

    Raises:
        UsageError: an axis that is not known or has fewer than two values, a value that makes no sense, or too many
            combinations.
    """
    axes = [[(name, *_value(name, one)) for one in _checked(name, values)] for name, values in vary.items()]
    counts = [len(values) for values in axes]
    if (count := _product(counts)) > MOST_COMBINATIONS:
        times = " x ".join(map(str, counts))
        raise _bad(f"--vary makes {times} = {count} combinations, more than {MOST_COMBINATIONS}: vary less at once")
    return [_combination(chosen) for chosen in itertools.product(*axes)]


def _combination(chosen: Sequence[tuple[str, str, _Changes]]) -> Combination:
    changes: dict[str, object] = {}
    for _, _, change in chosen:
        changes |= change
    return Combination(words=" ".join(f"{name}={text}" for name, text, _ in chosen), changes=changes)


def _checked(name: str, values: Sequence[Value]) -> Sequence[Value]:
    if name not in _AXES:
        raise _bad(f"--vary {name} is no axis: vary one of {', '.join(AXES)}")
    texts = [_text(one) for one in values]
    if len(set(texts)) < len(texts):
        twice = next(one for one in texts if texts.count(one) > 1)
        raise _bad(f"--vary {name} has the value {twice!r} twice: name each one once")
    if len(texts) < 2:
        raise _bad(
            f"--vary {name}={','.join(texts)} varies nothing: name two values or more, or set it for all models by its "
            "flag"
        )
    return values


def _value(name: str, value: Value) -> tuple[str, _Changes]:
    text = _text(value)
    if not text:
        raise _bad(f"--vary {name} has an empty value: write {name}=VALUE,VALUE")
    try:
        return text, _AXES[name](text)
    except ValueError as error:
        raise _bad(f"--vary {name}: {error}") from error


def _text(value: Value) -> str:
    """Return a value as it is written; of a program's own types True is "on"."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _product(counts: Sequence[int]) -> int:
    product = 1
    for count in counts:
        product *= count
    return product


def _bad(sentence: str) -> UsageError:
    return UsageError("bad_axis", sentence)

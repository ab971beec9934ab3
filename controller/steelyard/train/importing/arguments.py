"""Which argument of a program each input is."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.train.errors import ImportModelError
from steelyard.train.importing.inputs import ExampleInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What a program takes, in its order. ``optional`` may be left out, ``by_name`` cannot be given by position.

    ``any_more``: any count of others by position; ``any_named``: any others by name.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    by_name: frozenset[str] = frozenset()
    any_more: bool = False
    any_named: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all."""
        return (*self.required, *self.optional)

    def told(self) -> str:
        """Return for a sentence what there is."""
        parts = [f"{len(self.required)} inputs ({', '.join(self.required)})"] if self.required else []
        parts += [f"perhaps {', '.join(self.optional)}"] if self.optional else []
        parts += ["others by name (--input NAME=1x128)"] if self.any_named else []
        return ", ".join(parts) or "no inputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An input, what it is called in the model, and the argument that it is given as; "" by position."""

    example: ExampleInput
    name: str
    keyword: str = ""


def arguments_of(module: Any) -> Arguments:
    """Return what ``forward`` of a module takes."""
    own = list(inspect.signature(module.forward).parameters.values())
    plain = [one for one in own if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    return Arguments(
        required=tuple(one.name for one in plain if one.default is one.empty),
        optional=tuple(one.name for one in plain if one.default is not one.empty),
        by_name=frozenset(one.name for one in plain if one.kind is one.KEYWORD_ONLY),
        any_more=any(one.kind is one.VAR_POSITIONAL for one in own),
        any_named=any(one.kind is one.VAR_KEYWORD for one in own),
    )


def matched(inputs: Sequence[ExampleInput], arguments: Arguments) -> tuple[Given, ...]:
    """Return the inputs in the program's order.

    An input that is called as an argument is that one; the others are those that are left, in order, and a name beside
    them is what the model calls them.

    Raises:
        ImportModelError: invalid_input: the program takes others, or two have one name.
    """
    _refuse_doubles([one.name for one in inputs if one.name])
    places = _places(inputs, arguments)
    if any(name not in places for name in arguments.required):
        raise _other_count(inputs, arguments)
    order = {name: at for at, name in enumerate(arguments.known)}
    pairs = sorted(zip(places, inputs, strict=True), key=lambda pair: order.get(pair[0], len(order)))
    names = [one.name or place or ("x" if at == 0 else f"x_{at + 1}") for at, (place, one) in enumerate(pairs)]
    _refuse_doubles(names)
    by_position = _first_ones(arguments, [place for place, _ in pairs])
    return tuple(
        Given(example=one, name=name, keyword="" if place in by_position else place)
        for (place, one), name in zip(pairs, names, strict=True)
    )


def _refuse_doubles(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise ImportModelError("invalid_input", f"two inputs have one name ({', '.join(names)}); name each its own")


def _places(inputs: Sequence[ExampleInput], arguments: Arguments) -> list[str]:
    """Return the argument of each input, "" for one of any others by position."""
    said = {one.name for one in inputs}
    free = [name for name in arguments.known if name not in said]
    places = []
    for one in inputs:
        if one.name in arguments.known:
            places.append(one.name)
        elif free and (not one.name or free[0] in arguments.required):
            places.append(free.pop(0))
        elif one.name and (arguments.any_named or free):
            places.append(_named(one.name, arguments))
        elif arguments.any_more and not free:
            places.append("")
        else:
            raise _other_count(inputs, arguments)
    return places


def _named(name: str, arguments: Arguments) -> str:
    if arguments.any_named:
        return name
    raise ImportModelError(
        "invalid_input", f"{name} is no argument of the program, which takes {arguments.told()}; name one of these"
    )


def _other_count(inputs: Sequence[ExampleInput], arguments: Arguments) -> ImportModelError:
    return ImportModelError(
        "invalid_input",
        f"the program takes {arguments.told()} and {len(inputs)} were given; give --input once for each",
    )


def _first_ones(arguments: Arguments, places: Iterable[str]) -> set[str]:
    """Return the arguments that can be given by position: those before any that is left out."""
    first = {""}
    free = [name for name in arguments.known if name not in arguments.by_name]
    for place, name in zip(places, free, strict=False):
        if place != name:
            break
        first.add(name)
    return first

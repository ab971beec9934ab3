"""The TOML form of a model in parts, parsed and checked before any model is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.parts.sources import FixedInput, GreedyInput, PartOutput, Source, StateInput, TaskInput
from steelyard.spelling import first_unknown, meant
from steelyard.toml_text import parse_toml

STEP_WORDS = ("stack", "last", "mean", "max")
# Of parts: they name files, and PART.OUTPUT and PART=RECIPE name them.
_NAME = re.compile(r"[\w-]+")
_KINDS: Mapping[str, tuple[str, ...]] = {
    "task": ("window", "hop", "axis"),
    "value": (),
    "output": ("each_step",),
    "state": ("initial", "start", "shape"),
    "greedy": ("first",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One model with the sources of its inputs; ``step_count`` 0: as many as its windows give, else once."""

    name: str
    file: Path
    inputs: Mapping[str, Source]
    step_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsFile:
    """Parts in the order in which they run, and which output is the answer of the whole.

    ``steps`` says what becomes of the answers of all steps: stacked along axis 1, the last, their mean or maximum.
    """

    name: str
    parts: tuple[Part, ...]
    answer: PartOutput
    steps: str = "stack"

    def __post_init__(self) -> None:
        """Refuse parts that twice have one name, or take outputs of parts that do not run before them."""
        known: list[str] = []
        for part in self.parts:
            if part.name in known:
                raise CompressionInputError("invalid_parts", f"two parts are called {part.name!r}; rename one of them")
            for name, source in part.inputs.items():
                start = source.start if isinstance(source, StateInput) else source
                if isinstance(start, PartOutput) and start.part not in known:
                    raise CompressionInputError(
                        "invalid_parts",
                        f"the input {name!r} of {part.name!r} takes an output of {start.part!r}, and before it run "
                        f"{', '.join(known) or 'no parts'}; correct the name or the order",
                    )
            known.append(part.name)
        if self.answer.part not in known:
            raise CompressionInputError(
                "invalid_parts", f"the answer is of the part {self.answer.part!r}; {meant(self.answer.part, known)}"
            )


def load_parts(path: Path) -> PartsFile:
    """Read a parts file; models are found beside it.

    Raises:
        CompressionInputError: a file that is missing or no TOML, an unknown key (the nearest known one is named), a
            missing key, or a value of another type.
    """
    try:
        content = parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CompressionInputError("parts_not_found", f"there is no file {path}; check the path") from error
    except (OSError, ValueError) as error:
        raise CompressionInputError("invalid_parts", f"{path} is not valid TOML: {error}; correct it") from error
    _known(content, ("name", "parts", "answer"), f"{path}")
    answer = _typed(content, "answer", dict, f"{path}")
    _known(answer, ("output", "steps"), f"{path} [answer]")
    steps = answer.get("steps", "stack")
    if steps not in STEP_WORDS:
        raise CompressionInputError(
            "invalid_parts", f"{path} [answer]: steps is {steps!r}; {meant(str(steps), STEP_WORDS)}"
        )
    tables = _typed(content, "parts", list, f"{path}")
    return PartsFile(
        name=_typed(content, "name", str, f"{path}"),
        parts=tuple(_part(table, path) for table in tables),
        answer=_reference(_typed(answer, "output", str, f"{path} [answer]"), f"{path} [answer]"),
        steps=steps,
    )


def _part(table: Any, path: Path) -> Part:
    where = f"{path} [[parts]]"
    if not isinstance(table, dict):
        raise CompressionInputError("invalid_parts", f"{where} holds {table!r}; write tables [[parts]]")
    _known(table, ("name", "file", "inputs", "steps"), where)
    name = _typed(table, "name", str, where)
    if not _NAME.fullmatch(name):
        raise CompressionInputError("invalid_parts", f"{where}: name is {name!r}; use letters, digits, - and _ alone")
    where = f"{path} part {name!r}"
    steps = table.get("steps", 0)
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise CompressionInputError("invalid_parts", f"{where}: steps is {steps!r}; write a number of steps")
    inputs = _typed(table, "inputs", dict, where)
    return Part(
        name=name,
        file=path.parent / _typed(table, "file", str, where),
        inputs={key: _source(one, f"{where} input {key!r}") for key, one in inputs.items()},
        step_count=steps,
    )


def _source(table: Any, where: str) -> Source:
    kinds = [kind for kind in _KINDS if isinstance(table, dict) and kind in table]
    if len(kinds) != 1:
        raise CompressionInputError(
            "invalid_parts", f'{where} is {table!r}; write one of {", ".join(_KINDS)}, like {{ task = "x" }}'
        )
    (kind,) = kinds
    _known(table, (kind, *_KINDS[kind]), where)
    return _MAKERS[kind](table, where)


def _task_input(table: Mapping[str, Any], where: str) -> Source:
    window = _number(table, "window", 0, where)
    return TaskInput(
        name=_typed(table, "task", str, where),
        window=window,
        hop=_number(table, "hop", max(window, 1), where),
        axis=_number(table, "axis", 1, where),
    )


def _output(table: Mapping[str, Any], where: str) -> Source:
    reference = _reference(_typed(table, "output", str, where), where)
    each = _typed(table, "each_step", bool, where) if "each_step" in table else False
    return PartOutput(part=reference.part, output=reference.output, each_step=each)


def _state(table: Mapping[str, Any], where: str) -> Source:
    initial = table.get("initial", 0.0)
    shape = table.get("shape", [])
    if not isinstance(initial, int | float) or isinstance(initial, bool):
        raise CompressionInputError("invalid_parts", f"{where}: initial is {initial!r}; write a number")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise CompressionInputError("invalid_parts", f"{where}: shape is {shape!r}; write a list of sizes")
    return StateInput(
        output=_typed(table, "state", str, where),
        initial=float(initial),
        start=_reference(_typed(table, "start", str, where), where) if "start" in table else None,
        shape=tuple(shape),
    )


_MAKERS: Mapping[str, Callable[[Mapping[str, Any], str], Source]] = {
    "task": _task_input,
    "value": lambda table, where: FixedInput(value=table["value"]),
    "output": _output,
    "state": _state,
    "greedy": lambda table, where: GreedyInput(
        output=_typed(table, "greedy", str, where), first=_number(table, "first", 0, where)
    ),
}


def _reference(text: str, where: str) -> PartOutput:
    part, dot, output = text.partition(".")
    if not (part and dot and output):
        raise CompressionInputError("invalid_parts", f"{where} names {text!r}; write PART.OUTPUT")
    return PartOutput(part=part, output=output)


def _known(table: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    unknown = first_unknown(list(table), keys)
    if unknown is not None:
        raise CompressionInputError("unknown_key", f"{where} has the unknown key {unknown!r}; {meant(unknown, keys)}")


def _typed(table: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    value = table.get(key)
    if value is None:
        raise CompressionInputError("missing_key", f"{where} lacks the key {key!r}; add it")
    if not isinstance(value, kind) or not (value or kind is bool):
        words = {str: "a text in quotes", dict: "a table", list: f"tables [[{key}]]", bool: "true or false"}
        raise CompressionInputError("invalid_parts", f"{where}: {key} is {value!r}; write {words[kind]}")
    return value


def _number(table: Mapping[str, Any], key: str, default: int, where: str) -> int:
    value = table.get(key, default)
    if type(value) is not int:
        raise CompressionInputError("invalid_parts", f"{where}: {key} is {value!r}; write a whole number")
    return value

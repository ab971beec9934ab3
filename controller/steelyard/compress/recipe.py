"""Recipes: an ordered list of compression steps, checked as a whole before anything runs."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.compress.contract import FLOAT32, Step
from steelyard.compress.errors import RecipeError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A name and the steps; refuses steps that cannot follow each other."""

    name: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Refuse a name that could not be a file name, no steps, and steps that do not fit together."""
        if not _NAME.fullmatch(self.name):
            raise RecipeError(
                "invalid_recipe",
                f"the recipe's name is {self.name!r}; use lower-case letters, digits, '.', '_' and '-', 64 at most",
            )
        if not self.steps:
            raise RecipeError("invalid_recipe", f"recipe {self.name!r} has no steps; add a [[steps]] table")
        self._refuse_impossible_order()

    @property
    def needs_calibration(self) -> bool:
        """Whether any step reads calibration data."""
        return any(step.needs_calibration for step in self.steps)

    def to_toml(self) -> str:
        """Return the recipe as TOML with every default spelled out; ``parse_recipe`` gives it back."""
        blocks = [f"name = {_toml_value(self.name)}\n"]
        for step in self.steps:
            lines = ["[[steps]]", f"kind = {_toml_value(step.kind)}"]
            lines += [f"{key} = {_toml_value(value)}" for key, value in step_settings(step).items()]
            blocks.append("\n".join(lines) + "\n")
        return "\n".join(blocks)

    def _refuse_impossible_order(self) -> None:
        form, maker = FLOAT32, ""
        for number, step in enumerate(self.steps, start=1):
            if form not in step.accepts and maker:
                raise RecipeError(
                    "impossible_recipe",
                    f"recipe {self.name!r}: step {number} ({step.kind}) starts from "
                    f"{' or '.join(sorted(step.accepts))}, and {maker} leaves {form}; remove one of the two or "
                    "make two recipes",
                )
            form, maker = step.produces, f"step {number} ({step.kind})"


def step_settings(step: Step) -> Mapping[str, object]:
    """Return the settings of a step by name, defaults included."""
    return {name: getattr(step, name) for name in (field.name for field in dataclasses.fields(step))}


def _toml_value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    # JSON's texts, numbers and booleans are TOML's too; characters outside of ASCII stay themselves.
    return json.dumps(value, ensure_ascii=False)

"""Recipes: an ordered list of compression steps, checked as a whole before anything runs."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from steelyard.compress.contract import FLOAT32, SAME_FORM, Step
from steelyard.compress.errors import RecipeError
from steelyard.compress.inline_text import inline_text
from steelyard.compress.latency import needs_latency
from steelyard.compress.learning import learns

_NAME = re.compile(r"[a-z0-9][a-z0-9._+,=|-]{0,119}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps and a name; refuses steps that cannot follow each other.

    ``Recipe([Equalize(), StaticInt8()])``: a name that is not given is made of the steps and can be read back
    ("equalize+static-int8").
    """

    steps: Iterable[Step]
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse a name that could not be a file name, no steps, and steps that do not fit together."""
        object.__setattr__(self, "steps", tuple(self.steps))
        if not self.step_list:
            raise RecipeError(
                "invalid_recipe", f"recipe {self.name or '(without a name)'!r} has no steps; add a [[steps]] table"
            )
        if not self.name:
            object.__setattr__(self, "name", inline_text(self.step_list))
        if not _NAME.fullmatch(self.name):
            raise RecipeError(
                "invalid_recipe",
                f"the recipe's name is {self.name!r}; use lower-case letters, digits, '.', '_' and '-', 120 at most",
            )
        self._refuse_impossible_order()

    @property
    def step_list(self) -> tuple[Step, ...]:
        """The steps in their order."""
        return cast("tuple[Step, ...]", self.steps)

    @property
    def needs_calibration(self) -> bool:
        """Whether any step reads calibration data."""
        return any(step.needs_calibration for step in self.step_list)

    @property
    def needs_training(self) -> bool:
        """Whether any step learns from a training split."""
        return any(learns(step) for step in self.step_list)

    @property
    def needs_latency(self) -> bool:
        """Whether any step measures on a device."""
        return any(needs_latency(step) for step in self.step_list)

    def prefix_name(self, step_count: int) -> str:
        """Return what the recipe of the first steps is called: the name for all of them, else the steps in one word."""
        return self.name if step_count == len(self.step_list) else inline_text(self.step_list[:step_count])

    def forms(self, start: str) -> tuple[str, ...]:
        """Return the numeric form of the model after each step, begun with ``start``."""
        forms = []
        for step in self.step_list:
            start = start if step.produces == SAME_FORM else step.produces
            forms.append(start)
        return tuple(forms)

    def to_toml(self) -> str:
        """Return the recipe as TOML with every default spelled out; ``parse_recipe`` gives it back."""
        blocks = [f"name = {_toml_value(self.name)}\n"]
        for step in self.step_list:
            lines = ["[[steps]]", f"kind = {_toml_value(step.kind)}"]
            lines += [f"{key} = {_toml_value(value)}" for key, value in step_settings(step).items()]
            blocks.append("\n".join(lines) + "\n")
        return "\n".join(blocks)

    def _refuse_impossible_order(self) -> None:
        # A recipe may begin with whatever its first step takes; the model is looked at when it is there.
        first = self.step_list[0]
        form = FLOAT32 if FLOAT32 in first.accepts else min(first.accepts)
        seen_float, maker = form == FLOAT32, "the model"
        for number, step in enumerate(self.step_list, start=1):
            if form not in step.accepts:
                raise RecipeError(
                    "impossible_recipe",
                    f"recipe {self.name!r}: step {number} ({step.kind}) starts from "
                    f"{' or '.join(sorted(step.accepts))}, and {maker} leaves {form}; remove one of the two or "
                    "make two recipes",
                )
            if step.needs_float_ancestor and not seen_float:
                raise RecipeError(
                    "impossible_recipe",
                    f"recipe {self.name!r}: step {number} ({step.kind}) compares with the float32 model that its input "
                    f"was made from, and the recipe begins with {form}; put static-int8 before it",
                )
            form = form if step.produces == SAME_FORM else step.produces
            maker = f"step {number} ({step.kind})"


def step_settings(step: Step) -> Mapping[str, object]:
    """Return the settings of a step by name, defaults included."""
    return {name: getattr(step, name) for name in (field.name for field in dataclasses.fields(step))}


def _toml_value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    # JSON's texts, numbers and booleans are TOML's too; characters outside of ASCII stay themselves.
    return json.dumps(value, ensure_ascii=False)

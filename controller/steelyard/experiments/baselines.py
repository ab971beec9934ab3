"""Baselines of a recipe that spend the same budget with less thought."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

from steelyard.compress.contract import Step
from steelyard.compress.recipe import Recipe
from steelyard.compress.registry import step_class

# The control, and ranking by the sum of absolute weights (Li et al. 2017).
_IMPORTANCES = ("random", "l1")
_SPARSITY_SETTINGS = ("sparsity", "pattern", "scope", "block", "keep")


def baselines_of(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the baselines of ``recipe``, () where there is nothing to hold it against.

    Of a recipe that prunes: the same with random importance and with that of L1, at the same target. Of one that makes
    weights zero by and by: the same zeros at once, and the same training behind. Nothing else is changed.
    """
    kinds = [step.kind for step in recipe.step_list]
    found: list[Sequence[Step]] = []
    if "prune" in kinds:
        found += [_with_importance(recipe, importance) for importance in _IMPORTANCES]
    if "sparse-train" in kinds:
        found.append([one for step in recipe.step_list for one in _at_once(step)])
    same = recipe.step_list
    return tuple(Recipe(tuple(steps)) for steps in found if tuple(steps) != same)


def _with_importance(recipe: Recipe, importance: str) -> list[Step]:
    return [_changed(step, importance=importance) if step.kind == "prune" else step for step in recipe.step_list]


def _at_once(step: Step) -> Sequence[Step]:
    if step.kind != "sparse-train":
        return (step,)
    values = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
    fine_tune = step_class("fine-tune")
    shared = {field.name: values[field.name] for field in dataclasses.fields(fine_tune) if field.name in values}
    return step_class("sparsify")(**{name: values[name] for name in _SPARSITY_SETTINGS}), fine_tune(**shared)


def _changed(step: Step, **values: Any) -> Step:
    return cast("Step", dataclasses.replace(cast("Any", step), **values))

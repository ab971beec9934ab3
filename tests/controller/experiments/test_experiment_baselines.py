"""Baselines spend what their recipe spends, and differ from it in one thing."""

from __future__ import annotations

import dataclasses

from steelyard.compress.recipe import Recipe, step_settings
from steelyard.compress.recipe_text import load_recipe
from steelyard.experiments.baselines import baselines_of


def differing(recipe: Recipe, baseline: Recipe) -> dict[str, object]:
    """Return the settings by which recipes of the same kinds differ, as the baseline has them."""
    pairs = zip(recipe.step_list, baseline.step_list, strict=True)
    found: dict[str, object] = {}
    for step, other in pairs:
        assert step.kind == other.kind
        before = step_settings(step)
        found |= {key: value for key, value in step_settings(other).items() if before[key] != value}
    return found


def test_a_pruning_recipe_is_held_against_random_and_magnitude_at_its_own_target() -> None:
    recipe = load_recipe("prune,amount=0.25,importance=taylor,epochs=3+static-int8")
    found = [differing(recipe, one) for one in baselines_of(recipe)]
    assert found == [{"importance": "random"}, {"importance": "l1"}]


def test_a_recipe_that_is_a_baseline_itself_is_not_held_against_itself() -> None:
    recipe = load_recipe("prune,importance=l1")
    assert [differing(recipe, one) for one in baselines_of(recipe)] == [{"importance": "random"}]


def test_growing_zeros_are_held_against_the_same_zeros_at_once_and_the_same_training() -> None:
    recipe = load_recipe("sparse-train,sparsity=0.8,epochs=7,learning_rate=0.002+static-int8")
    (baseline,) = baselines_of(recipe)
    sparsify, fine_tune, quantized = baseline.step_list
    assert [step.kind for step in baseline.step_list] == ["sparsify", "fine-tune", "static-int8"]
    assert (step_settings(sparsify)["sparsity"], quantized) == (0.8, recipe.step_list[1])
    before = step_settings(recipe.step_list[0])
    shared = {field.name for field in dataclasses.fields(fine_tune)}  # type: ignore[arg-type]
    assert {key: before[key] for key in shared} == dict(step_settings(fine_tune))


def test_what_neither_prunes_nor_makes_sparse_has_none() -> None:
    assert baselines_of(load_recipe("static-int8")) == ()


def test_each_baseline_has_a_name_of_its_own() -> None:
    recipe = load_recipe("prune,latency=0.5x,keep=*head*")
    names = {recipe.name, *(one.name for one in baselines_of(recipe))}
    assert len(names) == 3

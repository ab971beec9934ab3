"""The hybrid recipe: pruned and quantized in training, with the recipe's first model teaching at every stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.compress.contract import StepContext
from steelyard.compress.recipe_text import load_recipe
from steelyard.train.steps import training
from tests.controller.train.steps.recipes import SHORT, model, run


def test_the_built_in_recipe_is_taught_by_the_first_model_at_every_stage() -> None:
    recipe = load_recipe("hybrid")
    assert [step.kind for step in recipe.step_list] == ["prune", "qat"]
    assert all(step.teachers == ("parent",) for step in recipe.step_list)


def test_the_parent_that_teaches_is_the_original_also_behind_another_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bytes]] = []
    lifted = training._teacher

    def seen(name: str, model_path: Path, context: StepContext) -> object:
        teacher = lifted(name, model_path, context)
        asked.append((name, context.ancestors[0].path.read_bytes()))
        assert (model_path == context.ancestors[0].path) == (len(asked) == 1)
        return teacher

    monkeypatch.setattr(training, "_teacher", seen)
    path = model(tmp_path, channels=8)
    taught = "teachers=parent," + SHORT.replace("epochs=4", "epochs=1")
    result = run(path, f"prune,round_to=1,{taught}+qat,{taught}")
    assert asked == [("parent", path.read_bytes())] * 2
    assert [step.kind for step in result.lineage.steps] == ["prune", "qat"]

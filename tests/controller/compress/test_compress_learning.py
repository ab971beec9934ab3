"""What steps that learn depend on: their keys, the models that they name, the samples that they must have."""

from __future__ import annotations

import dataclasses

from steelyard.compress.inline_text import parse_inline
from steelyard.compress.learning import learns, named_artifacts
from steelyard.compress.recipe import Recipe
from steelyard.compress.step_key import StepInputs, step_key
from steelyard.compress.steps.float16 import Float16
from steelyard.train.steps.distill import Distill
from steelyard.train.steps.fine_tune import FineTune
from steelyard.train.steps.prune import Prune
from steelyard.train.steps.qat import QuantizationAwareTraining

INPUTS = StepInputs(seed=1, training_digest="t", choice_digest="c", artifact_digests={"big": "a", "small": "b"})
ANCESTORS = ["p" * 64, "q" * 64]


def test_a_key_changes_with_all_that_is_learnt_from() -> None:
    step = Distill(teachers=("parent", "big"), student="small")
    others = (
        dataclasses.replace(INPUTS, seed=2),
        dataclasses.replace(INPUTS, training_digest="u"),
        dataclasses.replace(INPUTS, choice_digest="d"),
        dataclasses.replace(INPUTS, artifact_digests={"big": "z", "small": "b"}),
        dataclasses.replace(INPUTS, artifact_digests={"big": "a", "small": "z"}),
    )
    keys = {step_key(step, ANCESTORS, one).key for one in (INPUTS, *others)}
    # A teacher may be the recipe's first model.
    keys.add(step_key(step, ["r" * 64, ANCESTORS[1]], INPUTS).key)
    keys.add(step_key(dataclasses.replace(step, temperature=2.0), ANCESTORS, INPUTS).key)
    assert len(keys) == 8


def test_the_key_of_a_step_that_learns_nothing_does_not_change_with_it() -> None:
    other = dataclasses.replace(INPUTS, training_digest="u", choice_digest="d")
    assert step_key(Float16(), ANCESTORS, INPUTS) == step_key(Float16(), ANCESTORS, other)


def test_a_training_is_the_same_for_every_processor_but_where_it_rounds_for_one() -> None:
    other = dataclasses.replace(INPUTS, processor_features=("avx512_vnni",))
    assert step_key(FineTune(), ANCESTORS, INPUTS) == step_key(FineTune(), ANCESTORS, other)
    rounding = QuantizationAwareTraining()
    assert step_key(rounding, ANCESTORS, INPUTS).key != step_key(rounding, ANCESTORS, other).key


def test_models_are_named_once_and_those_of_the_recipe_not_at_all() -> None:
    steps = (
        FineTune(teachers=("big", "parent")),
        Distill(teachers=("input", "big"), student="small"),
        Float16(),
    )
    assert named_artifacts(steps) == ("big", "small")


def test_a_recipe_knows_whether_it_learns() -> None:
    assert learns(FineTune())
    assert not learns(Float16())
    assert not learns(Prune(epochs=0))
    assert learns(Prune(epochs=0, importance="taylor"))
    assert Recipe(parse_inline("float16")).needs_training is False
    assert Recipe(parse_inline("prune,amount=0.3+static-int8")).needs_training is True

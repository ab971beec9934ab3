"""The record of an experiment: what is missing of it, and its way to JSON and back."""

from __future__ import annotations

import pytest

from steelyard.errors import UsageError
from steelyard.experiments.record import (
    DeviceMeasurement,
    ExperimentRecipe,
    ExperimentRecord,
    SeedTraining,
    from_json,
    to_json,
)

PRUNE = ExperimentRecipe(name="prune", toml="name = 'prune'")
RECORD = ExperimentRecord(
    target="pi5",
    recipes=(PRUNE, ExperimentRecipe(name="random", toml="r", baseline_of="prune")),
    trainings=(
        SeedTraining(recipe="prune", seed=0, digest="a"),
        SeedTraining(recipe="prune", seed=1, reason="the loss is no number"),
        SeedTraining(recipe="random", seed=0, digest="b"),
    ),
    measurements=(DeviceMeasurement(device="pi5", job_id="1", digests=("a",)),),
)


def test_a_record_comes_back_from_json_as_it_was() -> None:
    assert from_json(to_json(RECORD)) == RECORD


@pytest.mark.parametrize("text", ["[]", "{", '{"recipe": []}', '{"recipes": [{"name": 3, "toml": ""}]}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no experiment that can be read"):
        from_json(text)


def test_each_device_lacks_the_models_that_no_measurement_of_its_own_holds() -> None:
    assert RECORD.unmeasured("pi5") == ("b",)
    assert RECORD.unmeasured("pi4") == ("a", "b")


def test_a_training_that_failed_is_none_and_is_replaced_by_one_that_did_not() -> None:
    assert RECORD.training("prune", 1) is None
    again = RECORD.with_training(SeedTraining(recipe="prune", seed=1, digest="c"))
    assert [one.digest for one in again.trainings if one.recipe == "prune"] == ["a", "c"]


def test_a_recipe_of_the_same_name_with_other_steps_is_refused() -> None:
    assert RECORD.with_recipes((PRUNE,)) == RECORD
    with pytest.raises(UsageError, match="'prune' has other steps"):
        RECORD.with_recipes((ExperimentRecipe(name="prune", toml="else"),))


def test_a_training_has_a_model_or_a_reason_and_not_both() -> None:
    for values in ({}, {"digest": "a", "reason": "b"}):
        with pytest.raises(ValueError, match="one of the two only"):
            SeedTraining(recipe="prune", seed=0, **values)

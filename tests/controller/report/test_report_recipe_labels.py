"""Recipes of one experiment by short labels: what all steps share is left out, and never what tells them apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steelyard.report.experiment.recipe_labels import recipe_labels


def test_a_setting_of_every_step_is_left_out_and_told_once() -> None:
    names = ["prune,epochs=1,teachers=parent+qat,epochs=1", "prune,epochs=1,amount=0.25"]
    assert recipe_labels(names) == (["prune,teachers=parent+qat", "prune,amount=0.25"], ("epochs=1",))


def test_short_names_stay_whole() -> None:
    assert recipe_labels(["prune,epochs=1", "width,epochs=1"]) == (["prune,epochs=1", "width,epochs=1"], ())


settings = st.lists(st.sampled_from(["epochs=1", "round_to=1", "amount=0.25", "importance=l1"]), unique=True)
recipes = st.lists(
    st.lists(
        st.builds(lambda kind, told: ",".join([kind, *told]), st.sampled_from(["prune", "qat"]), settings),
        min_size=1,
        max_size=3,
    ).map("+".join),
    unique=True,
    max_size=4,
)


@given(recipes)
def test_labels_differ_as_names_do(names: list[str]) -> None:
    labels, _ = recipe_labels(names)
    assert len(set(labels)) == len(set(names))

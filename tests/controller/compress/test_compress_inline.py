"""Recipes in one word: written, read back, refused with the nearest word."""

from __future__ import annotations

import pytest

from steelyard.compress.errors import RecipeError
from steelyard.compress.inline_text import inline_text, parse_inline
from steelyard.compress.recipe import Recipe
from steelyard.compress.recipe_text import load_recipe, parse_recipe
from steelyard.compress.steps.bias_correction import BiasCorrection
from steelyard.compress.steps.equalize import Equalize
from steelyard.compress.steps.float16 import Float16
from steelyard.compress.steps.static_int8 import StaticInt8


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((StaticInt8(),), "static-int8"),
        ((Equalize(), StaticInt8(per_channel=False)), "equalize+static-int8,per_channel=false"),
        (
            (StaticInt8(calibration_method="percentile", percentile=99.5), BiasCorrection()),
            "static-int8,calibration_method=percentile,percentile=99.5+bias-correction",
        ),
    ],
)
def test_steps_are_one_word_that_reads_back(steps: tuple[object, ...], text: str) -> None:
    recipe = Recipe(steps)
    assert recipe.name == inline_text(recipe.step_list) == text
    assert parse_inline(text) == steps
    assert load_recipe(text) == recipe
    assert parse_recipe(recipe.to_toml()) == recipe


def test_a_recipe_is_made_of_a_list_of_steps_in_python() -> None:
    recipe = Recipe([Equalize(), StaticInt8()])
    assert recipe.step_list == (Equalize(), StaticInt8())
    assert recipe.prefix_name(1) == "equalize"
    assert recipe.prefix_name(2) == "equalize+static-int8"
    assert Recipe([Equalize(), StaticInt8()], name="mine").prefix_name(1) == "equalize"
    assert recipe.forms("float32") == ("float32", "int8")


def test_settings_that_no_file_name_can_hold_are_hashed_and_told_apart() -> None:
    long = "+".join(["static-int8,calibration_method=percentile,percentile=99.5"] + ["bias-correction"] * 6)
    first, second = (
        Recipe((*parse_inline(long)[:1], *(BiasCorrection(sample_count=count) for count in range(10, 16)))).name
        for count in range(2)
    )
    other = Recipe((*parse_inline(long)[:1], *(BiasCorrection(sample_count=count) for count in range(20, 26)))).name
    assert first == second != other
    assert len(first) <= 120
    assert first.startswith("static-int8+bias-correction")


@pytest.mark.parametrize(
    ("text", "reason", "match"),
    [
        ("static-int8+bias-corection", "unknown_step", "did you mean 'bias-correction'"),
        ("static-int8,perchannel=false", "unknown_key", "did you mean 'per_channel'"),
        ("hybrid,epochs=1", "recipe_with_settings", r"steps out.*: prune,teachers=parent\+qat,teachers=parent"),
        ("static-int8,per_channel", "invalid_setting", "per_channel=VALUE"),
        ("static-int8,per_channel=no", "invalid_setting", "true or false"),
        ("equalize+", "unknown_step", "no step of kind ''"),
        ("static-int8,per_channel=false,per_channel=true", "invalid_setting", "per_channel stands there twice"),
        ("weight-only,bits=4.0", "invalid_setting", "bits is 4.0; write one of 4, 8"),
        ("bias-correction+static-int8", "impossible_recipe", "put static-int8 before it"),
        ("static-int8+float16", "impossible_recipe", "step 2"),
        ("bias-correction+adaround", "impossible_recipe", "put static-int8 before it"),
    ],
)
def test_mistakes_in_the_word_are_named_with_the_nearest(text: str, reason: str, match: str) -> None:
    with pytest.raises(RecipeError, match=match) as caught:
        load_recipe(text)
    assert caught.value.reason == reason


def test_a_name_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(RecipeError, match="lower-case"):
        Recipe([Float16()], name="a/b")

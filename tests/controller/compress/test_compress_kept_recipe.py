"""A recipe that keeps operators in float is written so that it is read back as what it says."""

from __future__ import annotations

import pytest
import tomllib

from steelyard.compress.inline_text import parse_inline
from steelyard.compress.kept_recipe import keep_float_line, quantizing_kind, word_keeping
from steelyard.compress.recipe import Recipe
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.steps.equalize import Equalize
from steelyard.compress.steps.static_int8 import StaticInt8


@pytest.mark.parametrize(
    ("recipe", "word"),
    [
        ("static-int8", "static-int8,keep_float=conv1|/head/Conv"),
        (
            "equalize+static-int8,per_channel=false+bias-correction",
            "equalize+static-int8,per_channel=false,keep_float=conv1|/head/Conv+bias-correction",
        ),
    ],
)
def test_the_word_is_the_recipe_with_the_operators_in_float(recipe: str, word: str) -> None:
    made = word_keeping(load_recipe(recipe), ["conv1", "/head/Conv"])
    assert made == word
    static = next(step for step in parse_inline(made) if isinstance(step, StaticInt8))
    assert static.keep_float == ("conv1", "/head/Conv")


def test_what_trains_for_integers_keeps_layers_in_float_alike() -> None:
    recipe = load_recipe("prune,amount=0.25+qat,epochs=2,keep_float=conv1")
    assert quantizing_kind(recipe) == "qat"
    assert word_keeping(recipe, ["conv2"]) == "prune,amount=0.25+qat,epochs=2,keep_float=conv1|conv2"
    assert keep_float_line(recipe, ["conv2"]) == 'keep_float = ["conv1", "conv2"]'


def test_what_was_kept_before_is_kept_on() -> None:
    recipe = Recipe([Equalize(), StaticInt8(keep_float=("Softmax", "conv1"))])
    assert keep_float_line(recipe, ["conv1", "conv2"]) == 'keep_float = ["Softmax", "conv1", "conv2"]'
    assert "keep_float=Softmax|conv1|conv2" in word_keeping(recipe, ["conv1", "conv2"])


@pytest.mark.parametrize("name", ["a+b", "a,b", "a|b", "12"])
def test_names_that_a_word_cannot_hold_have_no_word_but_a_line(name: str) -> None:
    recipe = load_recipe("static-int8")
    assert word_keeping(recipe, [name]) == ""
    assert tomllib.loads(keep_float_line(recipe, [name])) == {"keep_float": [name]}

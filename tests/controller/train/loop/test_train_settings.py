"""Settings of trainings that make no sense: refused in a sentence, before anything is trained."""

from __future__ import annotations

import pytest

from steelyard.compress.errors import RecipeError
from steelyard.compress.recipe_text import load_recipe, parse_recipe


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("epochs=0", "epochs is 0; write a whole number of 1 or more"),
        ("epochs=-3", "epochs is -3"),
        ("epochs=1e9", "epochs is 1000000000.0; write a whole number"),
        ("epochs=many", "epochs is 'many'; write a whole number"),
        (f"epochs={10**10}", "epochs is beyond 1,000,000,000"),
        (f"batch_size={10**400}", "batch_size is beyond 1,000,000,000"),
        ("batch_size=0", "batch_size is 0"),
        ("learning_rate=-0.1", "learning_rate is -0.1; write a number from 0 to 10"),
        ("learning_rate=1e9", "learning_rate is 1000000000.0"),
        ("warmup=1.5", "warmup is 1.5"),
        ("holdout=1", "holdout is 1; write a number from 0 to 0.9"),
        ("precision=int8", "precision is 'int8'"),
        ("augment=spin", "augment has 'spin'"),
        ("augment=auto|flip", "auto stands alone"),
        ("augment=auto|auto", "augment has auto among auto, auto; auto stands alone"),
        ("augment=noise10001", "augment has 'noise10001'; write a number up to 10,000 behind it"),
        (f"augment=cutout{'9' * 400}", "write a number up to 10,000 behind it"),
        pytest.param(f"epochs={'9' * 5000}", "write a whole number", id="thousands of digits"),
        ("optimizer=adam", "did you mean 'adamw'"),
        ("hints=auto", "hints needs a teacher"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(f"fine-tune,{settings}")
    assert words in str(caught.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "true", '"0.1"'])
@pytest.mark.parametrize("key", ["learning_rate", "weight_decay", "max_minutes", "temperature"])
def test_what_is_no_number_is_refused(key: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"fine-tune: {key} is .*; write a number from"):
        parse_recipe(f'name = "r"\n[[steps]]\nkind = "fine-tune"\nteachers = ["parent"]\n{key} = {value}\n')

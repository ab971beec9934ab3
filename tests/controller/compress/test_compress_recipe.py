"""Recipes are checked as a whole before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.compress.errors import RecipeError
from steelyard.compress.processor import resolve_reduce_range, saturates_u8s8
from steelyard.compress.recipe import Recipe
from steelyard.compress.recipe_text import builtin_recipes, load_recipe, parse_recipe
from steelyard.compress.steps.dynamic_int8 import DynamicInt8
from steelyard.compress.steps.float16 import Float16
from steelyard.compress.steps.static_int8 import StaticInt8


def test_the_built_in_recipes_are_named_by_what_they_do() -> None:
    found = {recipe.name: recipe.needs_calibration for recipe in builtin_recipes()}
    expected = {"float16": False, "dynamic-int8": False, "static-int8": True, "sparse-encoding": False}
    assert found.items() >= expected.items()


def test_every_built_in_recipe_survives_its_own_text() -> None:
    for recipe in builtin_recipes():
        assert parse_recipe(recipe.to_toml()) == recipe
        assert load_recipe(recipe.name) == recipe


@given(
    percentile=st.floats(51, 100),
    keep=st.booleans(),
    reduce_range=st.sampled_from([True, False, "auto"]),
    name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
)
def test_settings_survive_the_text(percentile: float, keep: bool, reduce_range: bool | str, name: str) -> None:
    for step in (
        Float16(keep_io_types=keep),
        StaticInt8(calibration_method="percentile", percentile=percentile, reduce_range=reduce_range),
    ):
        recipe = Recipe(name=name, steps=(step,))
        assert parse_recipe(recipe.to_toml()) == recipe


def test_a_recipe_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[[steps]]\nkind = "static-int8"\nper_channel = false\n', encoding="utf-8")
    assert load_recipe(str(path)).steps == (StaticInt8(per_channel=False),)


@pytest.mark.parametrize(
    ("text", "reason", "match"),
    [
        ("name = ", "invalid_recipe", "TOML"),
        ('[[steps]]\nkind = "float16"', "invalid_recipe", "name"),
        ('name = "A b"\n[[steps]]\nkind = "float16"', "invalid_recipe", "lower-case"),
        ('name = "a"', "invalid_recipe", "no steps"),
        ('name = "a"\nsteps = []', "invalid_recipe", "no steps"),
        ('name = "a"\nsteps = [1]', "invalid_recipe", "no steps"),
        ('name = "a"\nstep = 1', "unknown_key", "did you mean 'steps'"),
        ('name = "a"\n[[steps]]\nper_channel = true', "invalid_recipe", "kind"),
        ('name = "a"\n[[steps]]\nkind = "static-int9"', "unknown_step", "did you mean 'static-int8'"),
        ('name = "a"\n[[steps]]\nkind = "static-int8"\nperchannel = 1', "unknown_key", "did you mean 'per_channel'"),
    ],
)
def test_mistakes_in_the_text_are_named_with_the_nearest_word(text: str, reason: str, match: str) -> None:
    with pytest.raises(RecipeError, match=match) as caught:
        parse_recipe(text)
    assert (caught.value.reason, caught.value.exit_code) == (reason, 2)


@pytest.mark.parametrize(
    ("step", "settings", "match"),
    [
        (Float16, {"keep_io_types": 1}, "true or false"),
        (DynamicInt8, {"weight_type": "int9"}, "did you mean 'int8'"),
        (DynamicInt8, {"weight_type": 8}, "in quotes"),
        (DynamicInt8, {"reduce_range": "yes"}, "auto"),
        (DynamicInt8, {"all_ops": True}, "uint8"),
        (StaticInt8, {"activation_type": "int8", "weight_type": "uint8", "per_channel": False}, "no kernel"),
        (StaticInt8, {"weight_type": "uint8"}, "per_channel = false"),
        (StaticInt8, {"calibration_method": "percentile", "percentile": 5}, "more than 50"),
        (StaticInt8, {"calibration_method": "percentile", "percentile": float("nan")}, "more than 50"),
        (StaticInt8, {"percentile": "99"}, "write a number"),
        (StaticInt8, {"percentile": 99.0}, "does not read it"),
        (StaticInt8, {"calibration_method": "min-max"}, "did you mean 'minmax'"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(step: type, settings: dict[str, object], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        step(**settings)


@pytest.mark.parametrize(
    "steps", [(StaticInt8(), Float16()), (Float16(), DynamicInt8()), (DynamicInt8(), StaticInt8())]
)
def test_steps_that_cannot_follow_each_other_are_refused(steps: tuple[object, ...]) -> None:
    with pytest.raises(RecipeError, match=r"step 2 .* starts from float32, and step 1 .* leaves"):
        Recipe(name="both", steps=steps)


def test_an_unknown_recipe_names_the_nearest_and_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'static-int8'"):
        load_recipe("static_int8")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(str(tmp_path / "nothing.toml"))


@pytest.mark.parametrize(
    ("features", "saturates"),
    [
        ([], False),
        (["asimddp"], False),
        (["sse4_2"], False),
        (["avx2"], True),
        (["avx2", "avx512f", "avx512bw"], True),
        (["avx2", "avx512f", "avx512_vnni"], False),
        (["avx2", "avx_vnni"], False),
    ],
)
def test_sums_saturate_on_x86_without_vnni_only(features: list[str], saturates: bool) -> None:
    assert saturates_u8s8(features) == saturates
    assert resolve_reduce_range("auto", features, weight_type="int8") == saturates
    assert resolve_reduce_range("auto", features, weight_type="uint8") is False
    assert resolve_reduce_range(True, features, weight_type="int8") is True


def test_reading_recipes_imports_no_quantizer_and_no_grpc() -> None:
    code = (
        "import sys, steelyard.compress.recipe_text as r, steelyard.compress.process; r.builtin_recipes();"
        "print([m for m in ('onnx', 'onnxruntime', 'grpc', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Narrower layers and smaller pictures, with training behind them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from steelyard.compress.errors import RecipeError
from steelyard.compress.recipe_text import load_recipe
from steelyard.train.errors import TrainingInputError
from tests.controller.train.small_networks import residual, transformer
from tests.controller.train.steps.recipes import model, run, score

QUICK = "epochs=2,batch_size=24,learning_rate=0.02,augment=flip"


def convolution_widths(path: Path) -> list[int]:
    arrays = [numpy_helper.to_array(one) for one in onnx.load_model(path).graph.initializer]
    return [one.shape[0] for one in arrays if one.ndim == 4]


def test_half_of_the_channels_of_every_layer_stay_and_learn(tmp_path: Path) -> None:
    result = run(model(tmp_path), f"width,width=0.5,{QUICK}")
    assert convolution_widths(result.path) == [4, 4]
    assert score(result) > 0.9


def test_the_layers_see_smaller_pictures_and_the_model_takes_the_same(tmp_path: Path) -> None:
    path = model(tmp_path)
    result = run(path, f"resize-input,scale=0.5,{QUICK}+width,width=0.5,{QUICK}")
    made, before = (onnx.load_model(one).graph for one in (result.path, path))
    assert [node.op_type for node in made.node].count("Resize") == 1
    assert [one.dim_value for one in made.input[0].type.tensor_type.shape.dim[1:]] == [
        one.dim_value for one in before.input[0].type.tensor_type.shape.dim[1:]
    ]
    inferred = onnx.shape_inference.infer_shapes(onnx.load_model(result.path))
    shapes = {one.name: [d.dim_value for d in one.type.tensor_type.shape.dim] for one in inferred.graph.value_info}
    (first,) = [node.output[0] for node in made.node if node.op_type == "Conv"][:1]
    assert shapes[first][2:] == [4, 4]
    assert any("8x8 are resized to 4x4" in note for note in result.lineage.steps[0].notes)
    assert score(result) > 0.9


def test_a_model_whose_layers_count_on_the_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingInputError, match=r"count on image of 8x8 and do not take 4x4"):
        run(residual(tmp_path / "residual.onnx"), f"resize-input,scale=0.5,{QUICK}")


def test_a_model_without_a_picture_is_refused(tmp_path: Path) -> None:
    from steelyard.train.lift import lift
    from steelyard.train.smaller_input import with_smaller_input

    with pytest.raises(TrainingInputError, match="the model has none"):
        with_smaller_input(lift(transformer(tmp_path / "words.onnx", depth=1)), 0.5)


@pytest.mark.parametrize(
    ("recipe", "reason", "words"),
    [
        ("resize-input,scale=0.99", "size_same", "scale = 0.99 leaves pictures of 8x8 as they are"),
        ("width,round_to=1000", "nothing_narrower", "a width of 0.5 in multiples of 1000 leaves every layer"),
        ("distill,width=0.99", "nothing_narrower", "a width of 0.99 in multiples of 1 leaves every layer"),
    ],
)
def test_a_share_that_rounding_makes_the_whole_is_refused(tmp_path: Path, recipe: str, reason: str, words: str) -> None:
    with pytest.raises(TrainingInputError, match=words) as caught:
        run(model(tmp_path), f"{recipe},{QUICK}")
    assert caught.value.reason == reason


@pytest.mark.parametrize("recipe", ["width,width=0", "resize-input,scale=1.5", "resize-input,scale=1"])
def test_shares_that_leave_nothing_to_do_are_refused(recipe: str) -> None:
    with pytest.raises(RecipeError, match="write a number from"):
        load_recipe(recipe)

"""TFLite models and data of odd forms come out with the numbers of their parent, or are refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import compress
from steelyard.compress.tflite.sessions import open_session
from steelyard.errors import EXIT_USAGE
from steelyard.tasks.packing import pack_all
from tests.controller.compress.int8_models import sqnr_db
from tests.support.tflite_nets import Net, perceptron, weights

_WIDTH = 32


def _samples() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((16, _WIDTH)).astype(np.float32)


def _made(model: Path, recipe: str, **inputs: np.ndarray) -> CompressionResult:
    return compress(
        model,
        load_recipe(recipe),
        calibration=pack_all(inputs) if inputs else None,
        seed=0,
        processor_features=(),
        out_dir=model.parent / "out",
    )


def _layer(net: Net, source: int, name: str) -> int:
    return net.fully_connected(source, weights(np.random.default_rng(3), 8, _WIDTH), name=name)


def _refusal(model: Path, recipe: str, **inputs: np.ndarray) -> CompressionInputError:
    with pytest.raises(CompressionInputError) as caught:
        _made(model, recipe, **inputs)
    assert caught.value.exit_code == EXIT_USAGE
    assert not list((model.parent / "out").iterdir())
    return caught.value


@pytest.mark.parametrize("method", ["minmax", "mse", "percentile"])
def test_a_layer_whose_inputs_were_zero_in_calibration_keeps_its_bias(method: str, tmp_path: Path) -> None:
    model = perceptron(tmp_path / "m.tflite", features=_WIDTH)
    zeros = np.zeros((16, _WIDTH), np.float32)
    made = _made(model, f"static-int8,calibration_method={method}", x=zeros).path
    feed = {"x": zeros[:1]}
    assert sqnr_db(open_session(model).run(feed)[0], open_session(made).run(feed)[0]) > 25.0


@pytest.mark.parametrize("recipe", ["static-int8", "dynamic-int8", "float16"])
def test_an_output_that_is_an_input_is_refused_by_name(recipe: str, tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, _WIDTH))
    model = net.write(tmp_path / "m.tflite", [source], [_layer(net, source, "y"), source])
    error = _refusal(model, recipe, x=_samples())
    assert (error.reason, "'x'" in str(error)) == ("duplicate_names", True)


def test_an_input_without_a_name_is_refused(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("", (1, _WIDTH))
    model = net.write(tmp_path / "m.tflite", [source], [_layer(net, source, "y")])
    assert _refusal(model, "weight-only").reason == "nameless_input"


@pytest.mark.parametrize("recipe", ["static-int8", "float16", "sparsify"])
def test_a_model_that_gives_no_numbers_is_refused_before_a_variant_hides_it(recipe: str, tmp_path: Path) -> None:
    model = perceptron(tmp_path / "m.tflite", features=_WIDTH, scale=float("inf"))
    session = open_session(model)
    bad = [row for row in _samples() if not np.isfinite(session.run({"x": row[np.newaxis]})[0]).all()]
    error = _refusal(model, recipe, x=np.stack(bad))
    assert (error.reason, "'logits'" in str(error)) == ("not_finite", True)

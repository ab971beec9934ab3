"""Shared values in the weights of TFLite models: planted clusters are found, few values stay, the file compresses."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.compress.contract import TFLITE, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tflite.finishing import final_bytes
from steelyard.compress.tflite.sharing import share_weights
from steelyard.compress.weights.clustering import clustered
from tests.controller.compress.tflite_running import graph_of, images, outputs, sqnr_db
from tests.support.tflite_nets import Net, perceptron


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """The settings of the step, as the function reads them."""

    kind = "share-weights"

    clusters: int = 32
    store: str = "values"


def _shared(model: Path, step: _Settings) -> tuple[Path, StepReport]:
    out = model.with_name(f"shared-{model.name}")
    context = StepContext(work_dir=model.parent, progress=lambda message, done, total: None, model_format=TFLITE)
    return out, share_weights(step, model, out, context)


def test_planted_clusters_are_found() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([-3.0, -1.0, 0.5, 4.0])
    planted = rng.integers(0, 4, 4000)
    made = clustered((centres[planted] + 0.01 * rng.standard_normal(4000)).astype(np.float32), 4)
    assert len(np.unique(made)) == 4
    np.testing.assert_allclose(made, centres[planted], atol=0.002)


@given(st.integers(2, 20), st.integers(1, 200), st.integers(0, 1000))
@settings(deadline=None)
def test_there_are_never_more_values_and_zeros_stay_zero(count: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(size).astype(np.float32) * (rng.random(size) > 0.3)
    made = clustered(values, count)
    assert len(np.unique(made)) <= count
    assert (made[values == 0] == 0).all()
    assert values.min() <= made.min()
    assert made.max() <= values.max()


def test_few_different_values_stay_as_they_are() -> None:
    values = np.array([[1.0, 2.0], [2.0, 1.0]], np.float32)
    np.testing.assert_array_equal(clustered(values, 2), values)


def test_a_shared_model_agrees_and_compresses_well(tmp_path: Path) -> None:
    model = perceptron(tmp_path / "m.tflite", features=64, hidden=128)
    data = images(shape=(64,), name="x")
    made, report = _shared(model, _Settings(clusters=16))
    assert [len(np.unique(values)) for _operator, _tensor, values in graph_of(made).weights()] == [16, 16]
    assert sqnr_db(outputs(model, data), outputs(made, data)) > 12
    before, after = (len(zlib.compress(final_bytes(path))) for path in (model, made))
    assert after < 0.3 * before
    assert report.notes[0].startswith("the weights of 2 layers have 16 different values each")


def test_a_code_book_is_refused_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError, match="has no operator that looks weights up") as caught:
        _shared(perceptron(tmp_path / "m.tflite"), _Settings(store="codebook"))
    assert caught.value.reason == "unsupported_setting"


def test_a_model_without_weights_has_nothing_to_share(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 8))
    model = net.write(tmp_path / "m.tflite", [source], [net.unary("RELU", source)])
    with pytest.raises(CompressionInputError, match="has no layer with float32 weights"):
        _shared(model, _Settings())

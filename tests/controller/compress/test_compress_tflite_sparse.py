"""The sparse encoding: no bit of the outputs changes, the file shrinks; a sentence where XNNPACK would not run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.compress.contract import SPARSE
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.recipe import Recipe
from steelyard.compress.steps.sparse_encoding import SparseEncoding
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.compress.tflite.finishing import final_bytes
from steelyard.compress.tflite.model_form import numeric_form
from steelyard.compress.tflite.sparse_region import find_region
from steelyard.compress.tflite.sparse_tensor import dense_values, sparsity_of
from tests.controller.compress.tflite_running import applied, graph_of, images, kinds, outputs
from tests.support.tflite_nets import NO_ACTIVATION, SAME, VALID, Net, mobile_net, perceptron, weights


@given(
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_what_is_stored_sparsely_comes_back(shape: tuple[int, ...], share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape).astype(np.float32) * (rng.random(shape) >= share)
    parameters, stored = sparsity_of(values)
    assert np.count_nonzero(stored) == stored.size == np.count_nonzero(values)
    np.testing.assert_array_equal(dense_values(parameters, stored, shape), values)


def test_rows_too_long_for_bytes_get_wider_indexes() -> None:
    for length, dtype in ((200, np.uint8), (300, np.uint16), (70_000, np.int32)):
        values = np.zeros((2, length), np.float32)
        values[1, length - 1] = 3.0
        parameters, stored = sparsity_of(values)
        assert np.asarray(parameters.dimMetadata[-1].arrayIndices.values).dtype == dtype
        np.testing.assert_array_equal(dense_values(parameters, stored, values.shape), values)


def test_the_encoding_changes_no_bit_of_the_outputs_and_shrinks_the_file(tmp_path: Path) -> None:
    model = mobile_net(tmp_path / "m.tflite", width=64, zero_share=0.8)
    made, report = applied(SparseEncoding(), model)
    shown = images(seed=3)
    np.testing.assert_array_equal(outputs(made, shown), outputs(model, shown))
    assert kinds(made)[:2] == ["DENSIFY", "DENSIFY"]
    zero_bytes = 4 * 0.8 * (64 * 64 + 128 * 64)
    assert made.stat().st_size < model.stat().st_size - 0.6 * zero_bytes
    assert report.notes[0].startswith("2 1x1 convolutions (80.0 % zeros) and 0 other layers are stored sparsely")


def test_a_sparse_classifier_is_stored_sparsely_too(tmp_path: Path) -> None:
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, 32, 32, 3))
    last = net.conv(net.pad(image), weights(rng, 8, 3, 3, 3), stride=2, padding=VALID)
    last = net.conv(last, weights(rng, 64, 1, 1, 8, zero_share=0.75))
    last = net.fully_connected(net.mean(last), weights(rng, 10, 64, zero_share=0.75))
    model = net.write(tmp_path / "m.tflite", [image], [last])
    made, report = applied(SparseEncoding(), model)
    assert "1 1x1 convolutions (75.0 % zeros) and 1 other layers" in report.notes[0]
    np.testing.assert_array_equal(outputs(made, images()), outputs(model, images()))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = mobile_net(tmp_path / "m.tflite", width=64, zero_share=0.8)
    first = final_bytes(applied(SparseEncoding(), model)[0])
    assert final_bytes(applied(SparseEncoding(), model)[0]) == first


def test_the_part_holds_every_pointwise_convolution(tmp_path: Path) -> None:
    graph = graph_of(mobile_net(tmp_path / "m.tflite", width=64, zero_share=0.75))
    region = find_region(graph, "m")
    assert len(region.weights) == 2
    assert (region.weight_count, region.zero_count) == (64 * 64 + 128 * 64, 0.75 * (64 * 64 + 128 * 64))


def test_a_dense_classifier_that_newer_versions_count_is_told(tmp_path: Path) -> None:
    _made, report = applied(SparseEncoding(), _large_classifier(tmp_path / "large.tflite"))
    assert "later versions of XNNPACK count those layers" in report.notes[1]
    _made, report = applied(SparseEncoding(), mobile_net(tmp_path / "m.tflite", width=64, zero_share=0.8))
    assert len(report.notes) == 1


def test_a_layer_without_any_value_stays_dense(tmp_path: Path) -> None:
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, 32, 32, 3))
    last = net.conv(net.pad(image), weights(rng, 8, 3, 3, 3), stride=2, padding=VALID)
    last = net.conv(last, np.zeros((8, 1, 1, 8), np.float32))
    last = net.conv(last, weights(rng, 16, 1, 1, 8, zero_share=0.75))
    model = net.write(tmp_path / "m.tflite", [image], [net.mean(last)])
    made, _report = applied(SparseEncoding(), model)
    assert kinds(made).count("DENSIFY") == 1
    np.testing.assert_array_equal(outputs(made, images()), outputs(model, images()))


def _net(path: Path, build: Callable[[Net, np.random.Generator, int], int], entry_stride: int = 2) -> Path:
    """Write PAD, a 3x3 convolution, what ``build`` adds, a sparse 1x1 convolution, MEAN."""
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, 32, 32, 3))
    last = net.conv(net.pad(image), weights(rng, 8, 3, 3, 3), stride=entry_stride, padding=VALID)
    last = build(net, rng, last)
    last = net.conv(last, weights(rng, 16, 1, 1, net.shape(last)[3], zero_share=0.75))
    return net.write(path, [image], [net.mean(last)])


def _first_on_one_channel(path: Path) -> Path:
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, 32, 32, 1))
    last = net.conv(net.pad(image), weights(rng, 8, 3, 3, 1), stride=2, padding=VALID)
    last = net.conv(last, weights(rng, 16, 1, 1, 8, zero_share=0.75))
    return net.write(path, [image], [net.mean(last)])


def _read_elsewhere(path: Path) -> Path:
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, 32, 32, 3))
    entry = net.conv(net.pad(image), weights(rng, 8, 3, 3, 3), stride=2, padding=VALID, name="entry")
    last = net.conv(entry, weights(rng, 16, 1, 1, 8, zero_share=0.75))
    other = net.unary("TANH", entry)
    return net.write(path, [image], [net.mean(last), other])


def _large_classifier(path: Path) -> Path:
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, 32, 32, 3))
    last = net.conv(net.pad(image), weights(rng, 8, 3, 3, 3), stride=2, padding=VALID)
    last = net.conv(last, weights(rng, 16, 1, 1, 8, zero_share=0.75))
    return net.write(path, [image], [net.fully_connected(net.mean(last), weights(rng, 32, 16))])


def _dense_3x3(net: Net, rng: np.random.Generator, last: int) -> int:
    return net.conv(last, weights(rng, 8, 3, 3, 8), name="inner")


def _strided_same(net: Net, rng: np.random.Generator, last: int) -> int:
    return net.depthwise(last, weights(rng, 1, 3, 3, 8), stride=2, padding=SAME)


def _strided_padded(net: Net, rng: np.random.Generator, last: int) -> int:
    return net.depthwise(net.pad(last), weights(rng, 1, 3, 3, 8), stride=2, padding=VALID)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (perceptron, "it has no MEAN over height and width and no DEPTH_TO_SPACE"),
        (lambda path: mobile_net(path, zero_share=0.5), "50.0 % of the weights of its 1x1 convolutions are zero"),
        (lambda path: _net(path, lambda net, _rng, last: net.unary("TANH", last)), "TANH ('tanh2') cannot stand"),
        (lambda path: _net(path, _dense_3x3), "the 3x3 convolution 'inner' is no 1x1 convolution with stride 1"),
        (lambda path: _net(path, _strided_same), "is not padded by 1 on each side"),
        (lambda path: _net(path, lambda _net, _rng, last: last, entry_stride=1), "its stride is 1x1"),
        (_first_on_one_channel, "it reads 1 channels"),
        (_read_elsewhere, "'entry' in its sparse part is read by TANH outside of it too"),
    ],
)
def test_a_model_that_xnnpack_would_not_run_sparsely_is_refused_with_the_condition_that_fails(
    tmp_path: Path, write: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(CompressionInputError, match=r"XNNPACK would not run m\.tflite sparsely: ") as caught:
        applied(SparseEncoding(), write(tmp_path / "m.tflite"))
    assert caught.value.reason == "no_sparse_region"
    assert words in str(caught.value)


def test_a_strided_depthwise_convolution_behind_a_pad_is_in_the_part(tmp_path: Path) -> None:
    region = find_region(graph_of(_net(tmp_path / "m.tflite", _strided_padded)), "m")
    assert region.weight_count == 16 * 8


def test_the_input_itself_is_no_sparse_part(tmp_path: Path) -> None:
    net = Net()
    image = net.tensor("image", (1, 8, 8, 16))
    last = net.conv(image, weights(np.random.default_rng(0), 16, 1, 1, 16, zero_share=0.75), activation=NO_ACTIVATION)
    model = net.write(tmp_path / "m.tflite", [image], [net.mean(last)])
    with pytest.raises(CompressionInputError, match="the part reaches the input 'image' without a 3x3 convolution"):
        applied(SparseEncoding(), model)


def test_a_sparse_model_is_not_made_sparse_or_quantized_again(tmp_path: Path) -> None:
    made, _report = applied(SparseEncoding(), mobile_net(tmp_path / "m.tflite", width=64, zero_share=0.8))
    assert numeric_form(made) == SPARSE == SparseEncoding.produces
    for step in (SparseEncoding(), StaticInt8()):
        with pytest.raises(CompressionInputError, match="put sparse-encoding last") as caught:
            applied(step, made, images())
        assert caught.value.reason == "already_sparse"


def test_a_recipe_that_goes_on_behind_the_encoding_is_refused_before_it_runs() -> None:
    with pytest.raises(RecipeError, match="static-int8"):
        Recipe(name="sparse-int8", steps=(SparseEncoding(), StaticInt8()))

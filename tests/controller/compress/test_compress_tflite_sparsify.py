"""Zeros in the weights of TFLite models: exact counts, the right weights, and what is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.compress.contract import TFLITE, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.steps.sparse_encoding import SparseEncoding
from steelyard.compress.tflite.sparsifying import sparsify
from steelyard.compress.weights.zeroing import n_of_m, without_smallest, without_smallest_blocks
from tests.controller.compress.tflite_running import applied, graph_of, images, outputs
from tests.support.tflite_nets import Net, mobile_net, perceptron


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """The settings of the step, as the function reads them."""

    kind = "sparsify"

    sparsity: float = 0.5
    pattern: str = "unstructured"
    scope: str = "global"
    block: tuple[int, int] = (4, 1)
    keep: tuple[str, ...] = ()


def _sparsified(model: Path, step: Any) -> tuple[Path, StepReport]:
    out = model.with_name(f"sparse-{model.name}")
    context = StepContext(work_dir=model.parent, progress=lambda message, done, total: None, model_format=TFLITE)
    return out, sparsify(step, model, out, context)


def _weights(path: Path) -> dict[str, np.ndarray]:
    graph = graph_of(path)
    return {graph.kind(operator) + str(tensor): values for operator, tensor, values in graph.weights()}


@given(st.floats(0, 1), st.integers(1, 60), st.integers(0, 1000))
@settings(deadline=None)
def test_the_share_is_exact_and_no_kept_weight_is_smaller_than_a_zeroed_one(
    share: float, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    given_weights = [rng.standard_normal((count, 3)).astype(np.float32), rng.standard_normal((2, 5)).astype(np.float32)]
    made = without_smallest(given_weights, share)
    before, after = (np.concatenate([one.ravel() for one in some]) for some in (given_weights, made))
    assert int((after == 0).sum()) == round(share * before.size)
    kept, gone = np.abs(before[after != 0]), np.abs(before[after == 0])
    assert not kept.size or not gone.size or kept.min() >= gone.max()
    np.testing.assert_array_equal(after[after != 0], before[after != 0])


def test_of_equal_weights_the_first_go_first() -> None:
    (made,) = without_smallest([np.ones((2, 4), np.float32)], 0.375)
    np.testing.assert_array_equal(made, [[0, 0, 0, 1], [1, 1, 1, 1]])


def test_two_of_four_keeps_the_two_largest_of_each_group_along_the_inputs() -> None:
    values = np.array([[1, -4, 3, 2, 9, 8, 7, 6, 5, 5], [0, 1, 0, -1, 2, 2, 2, 2, 3, 4]], np.float32)
    expected = [[0, -4, 3, 0, 9, 8, 0, 0, 5, 5], [0, 1, 0, -1, 0, 0, 2, 2, 3, 4]]
    np.testing.assert_array_equal(n_of_m(values, 2, 4), expected)
    planted = np.random.default_rng(0).standard_normal((8, 3, 3, 16)).astype(np.float32)
    groups = n_of_m(planted, 1, 4).reshape(-1, 4)
    assert ((groups != 0).sum(axis=1) == 1).all()


def test_planted_weak_blocks_are_the_ones_that_go() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 2, (8, 1, 1, 6)).astype(np.float32)
    values[4:8, 0, 0, 2] *= 0.01
    values[0:4, 0, 0, 5] *= 0.02
    (made,) = without_smallest_blocks([values], 2 / 12, (4, 1))
    gone = np.zeros(values.shape, bool)
    gone[4:8, 0, 0, 2] = gone[0:4, 0, 0, 5] = True
    np.testing.assert_array_equal(made == 0, gone)


def test_blocks_at_the_edges_are_smaller_and_judged_by_their_mean() -> None:
    values = np.ones((5, 3), np.float32)
    values[4, 2] = 0.5
    (made,) = without_smallest_blocks([values], 1 / 6, (2, 2))
    np.testing.assert_array_equal(made == 0, [[False] * 3] * 4 + [[False, False, True]])


def test_a_block_larger_than_all_weights_is_all_of_them() -> None:
    (made,) = without_smallest_blocks([np.ones((5, 3), np.float32)], 0.6, (10**9, 10**9))
    assert not made.any()


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_the_share_holds_over_all_layers_or_in_each(tmp_path: Path, scope: str) -> None:
    made, report = _sparsified(perceptron(tmp_path / "m.tflite"), _Settings(sparsity=0.75, scope=scope))
    found = list(_weights(made).values())
    shares = [float((values == 0).mean()) for values in found]
    assert sum(int((values == 0).sum()) for values in found) == 0.75 * sum(values.size for values in found)
    assert (shares == [0.75, 0.75]) == (scope == "layer")
    assert report.notes[0].endswith("weights in 2 layers are zero (75.0 %)")


def test_depthwise_convolutions_and_kept_layers_stay(tmp_path: Path) -> None:
    model = mobile_net(tmp_path / "m.tflite")
    made, report = _sparsified(model, _Settings(sparsity=0.8, keep=("log*",)))
    before, after = _weights(model), _weights(made)
    assert len(before) == 6
    for name, values in after.items():
        is_left = name.startswith(("DEPTHWISE", "FULLY"))
        assert (values == before[name]).all() == is_left, name
    assert "2 depthwise convolutions were left as they are" in report.notes[2]


def test_sparsify_before_sparse_encoding_changes_no_further_bit(tmp_path: Path) -> None:
    model, _report = _sparsified(mobile_net(tmp_path / "m.tflite", width=64), _Settings(sparsity=0.8, scope="layer"))
    made, report = applied(SparseEncoding(), model)
    assert "2 1x1 convolutions (80.0 % zeros) and 1 other layers" in report.notes[0]
    np.testing.assert_array_equal(outputs(made, images()), outputs(model, images()))


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 8))
    model = net.write(tmp_path / "m.tflite", [source], [net.unary("RELU", source)])
    with pytest.raises(CompressionInputError, match="has no convolution or matrix product") as caught:
        _sparsified(model, _Settings())
    assert caught.value.reason == "nothing_to_sparsify"

"""The plugins keep Steelyard's contracts, and do what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from steelyard_example.balanced_accuracy import BalancedAccuracy
from steelyard_example.clip_weights import ClipWeights, clip_channels
from steelyard_example.gamma import Gamma

from steelyard.compress.errors import RecipeError
from steelyard.tasks.errors import TaskError
from steelyard.testing import check_metric, check_operation, check_step


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    """image [1, 3, 8, 8] -> Conv with one far weight -> scores [1, 4, 8, 8]."""
    kernel = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    kernel[1, 0, 1, 1] = 40.0
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["scores"], pads=[1, 1, 1, 1])],
        "far",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    path = tmp_path / "far.onnx"
    onnx.save_model(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def test_the_step_keeps_its_contract_and_clips_the_far_weight(model_path: Path) -> None:
    report = check_step(ClipWeights(deviations=3.0), model_path)
    assert report.notes == ("1 weights of 1 convolutions were clipped",)


def test_a_clipped_channel_keeps_its_sum() -> None:
    weights = np.random.default_rng(1).standard_normal((5, 2, 3, 3))
    weights[2, 0, 0, 0] = 30.0
    clipped, count = clip_channels(weights, 3.0)
    assert count == 1
    assert np.abs(clipped[2]).max() < 30.0
    np.testing.assert_allclose(clipped.sum(axis=(1, 2, 3)), weights.sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(clipped[0], weights[0])


def test_a_bound_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(RecipeError, match="deviations is 0"):
        ClipWeights(deviations=0)


def test_the_metric_keeps_its_contract_and_weighs_classes_alike() -> None:
    labels = np.array([0] * 9 + [1], dtype=np.int64)
    value = check_metric(BalancedAccuracy(), {"labels": labels}, {"argmax": np.zeros(10, dtype=np.int64)})
    # All of class 0 and nothing of class 1, where plain accuracy is 0.9.
    assert value == pytest.approx(0.5)


def test_the_operation_keeps_its_contract_and_brightens() -> None:
    samples = np.array([[0, 64, 255], [1, 128, 254]], dtype=np.uint8)
    made = check_operation(Gamma(gamma=0.5), samples)
    assert made.tolist()[0] == [0, 128, 255]


def test_samples_off_the_curve_are_refused() -> None:
    with pytest.raises(TaskError, match=r"go from -1\.0 to 1\.0"):
        Gamma(gamma=2.0, most=1.0).apply(np.array([[-1.0, 1.0]]))

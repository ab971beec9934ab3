"""TFLite models are run within bounds, and a variant is checked beside its parent."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.compress.tflite.sessions import (
    batch_size,
    check_calibration,
    drawn_feed,
    first_feed,
    open_session,
    run_bounded,
)
from steelyard.compress.tflite.verification import verify_variant
from tests.controller.compress.tflite_running import applied, images
from tests.support.tflite_models import tflite_unknown_op_model
from tests.support.tflite_nets import Net, mobile_net, perceptron


def _nan_model(path: Path) -> Path:
    """Write x [1, 8] -> 0 * x / 0."""
    net = Net()
    source = net.tensor("x", (1, 8))
    zeros = net.constant(np.zeros((1, 8), np.float32))
    nothing = net.operator("MUL", [source, zeros], [net.tensor("nothing", (1, 8))], "MulOptions")
    return net.write(path, [source], [net.operator("DIV", [nothing, zeros], [net.tensor("y", (1, 8))], "DivOptions")])


def _relu_model(path: Path, name: str = "y") -> Path:
    net = Net()
    source, made = net.tensor("x", (1, 8)), net.tensor(name, (1, 8))
    return net.write(path, [source], [net.operator("RELU", [source], [made])])


def test_a_variant_that_works_needs_no_note(tmp_path: Path) -> None:
    model = mobile_net(tmp_path / "m.tflite")
    made, _report = applied(StaticInt8(), model, images())
    assert verify_variant(made, model, calibration=images(), seed=0) == ()
    assert verify_variant(made, model, calibration=None, seed=0) == ()


def test_nan_is_the_variants_fault_only_where_its_parent_has_none(tmp_path: Path) -> None:
    good, bad = _relu_model(tmp_path / "good.tflite"), _nan_model(tmp_path / "bad.tflite")
    with pytest.raises(CompressionError, match="in its output 'y' where its parent does not") as caught:
        verify_variant(bad, good, calibration=None, seed=0)
    assert caught.value.reason == "not_finite"
    with pytest.raises(CompressionInputError, match="the model itself gives NaN or infinity in its output 'y'"):
        verify_variant(bad, bad, calibration=None, seed=0)


def test_a_variant_with_other_ends_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompressionError, match="where its parent has") as caught:
        verify_variant(
            _relu_model(tmp_path / "other.tflite", "z"), _relu_model(tmp_path / "m.tflite"), calibration=None, seed=0
        )
    assert caught.value.reason == "other_signature"


def test_a_variant_that_does_not_load_is_refused(tmp_path: Path) -> None:
    broken = tflite_unknown_op_model(tmp_path / "m.tflite")
    with pytest.raises(CompressionError, match="the variant that was made does not run") as caught:
        verify_variant(broken, _relu_model(tmp_path / "good.tflite"), calibration=None, seed=0)
    assert caught.value.reason == "variant_not_loadable"


def test_a_model_that_litert_cannot_load_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError, match=r"LiteRT [0-9.]+ cannot load m\.tflite") as caught:
        open_session(tflite_unknown_op_model(tmp_path / "m.tflite"))
    assert caught.value.reason == "model_not_loadable"


def test_inputs_with_an_open_dimension_beyond_the_batch_cannot_be_drawn(tmp_path: Path) -> None:
    def open_up(model: Any) -> None:
        model.subgraphs[0].tensors[0].shapeSignature = np.array([1, -1], np.int32)

    net = Net()
    source = net.tensor("x", (1, 8))
    model = net.write(tmp_path / "m.tflite", [source], [net.unary("RELU", source)], change=open_up)
    (note,) = verify_variant(model, model, calibration=None, seed=0)
    assert note.startswith("the variant's outputs were not checked: the input 'x' has the shape [1, -1] of float32")
    wider = images(shape=(20,), name="x")
    check_calibration(open_session(model), wider)
    assert verify_variant(model, model, calibration=wider, seed=0) == ()
    assert open_session(model).run(wider.feed(0, 1))[0].shape == (1, 20)


def test_drawn_inputs_are_those_of_the_seed(tmp_path: Path) -> None:
    session = open_session(mobile_net(tmp_path / "m.tflite"))
    first, again, other = (drawn_feed(session, seed) for seed in (1, 1, 2))
    assert isinstance(first, dict)
    assert isinstance(again, dict)
    assert isinstance(other, dict)
    assert first["image"].shape == (1, 32, 32, 3)
    np.testing.assert_array_equal(first["image"], again["image"])
    assert (first["image"] != other["image"]).any()


def test_fewer_samples_than_the_batch_are_told(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (4, 8))
    session = open_session(net.write(tmp_path / "m.tflite", [source], [net.unary("RELU", source)]))
    few = images(3, shape=(8,), name="x")
    assert batch_size(session) == 4
    assert first_feed(session, calibration=few, seed=0) == "3 calibration samples are fewer than the model's batch of 4"
    with pytest.raises(CompressionInputError, match="takes batches of 4 and the calibration data has 3 samples"):
        check_calibration(session, few)


def test_an_inference_that_does_not_end_is_left_behind() -> None:
    released = threading.Event()

    class Endless:
        def run(self, feed: object) -> list[np.ndarray]:
            released.wait()
            return []

    endless: Any = Endless()
    with pytest.raises(CompressionInputError, match="one inference did not end within 0 s") as caught:
        run_bounded(endless, {}, limit_s=0.01)
    released.set()
    assert caught.value.reason == "model_never_returned"


def test_what_a_run_raises_is_raised_to_who_asked(tmp_path: Path) -> None:
    session = open_session(perceptron(tmp_path / "m.tflite"))
    with pytest.raises(CompressionError, match="running the model failed"):
        run_bounded(session, {"x": np.zeros((1, 32), np.int32)})

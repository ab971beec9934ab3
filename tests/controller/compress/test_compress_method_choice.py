"""Ranges that a few samples stretch are found, and the method is the one that serves the other samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.compress.calibration import CalibrationData, read_calibration
from steelyard.compress.calibrators.method_choice import choose_method, stretched_count
from steelyard.compress.contract import StepReport
from steelyard.compress.noise import Reference
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.tasks.packing import pack
from tests.controller.compress import int8_models, tflite_running
from tests.support.tflite_nets import perceptron


def _data(width: int, *, stretched: bool) -> CalibrationData:
    values = np.random.default_rng(0).standard_normal((60, width))
    if stretched:
        values[40] *= 500.0
    return read_calibration(pack("x", values.astype(np.float32)))


class _Scaled:
    """A model that gives its input with an error of a share of it."""

    batch_size = 1

    def __init__(self, share: float) -> None:
        self._share = share

    def run(self, feed: dict[str, Any]) -> list[Any]:
        return [feed["x"] * (1.0 + self._share)]


def _chosen(shares: dict[str, float]) -> Any:
    return choose_method(
        tuple(shares),
        lambda method: _Scaled(shares[method]),
        Reference(_Scaled(0.0), _data(4, stretched=False), 64),
        stretched=3,
        progress=lambda *_: None,
    )


def test_the_nearest_outputs_win_and_the_note_says_what_was_tried() -> None:
    choice = _chosen({"minmax": 0.1, "moving-average": 0.01, "entropy": 0.03})
    assert choice.method == "moving-average"
    (note,) = choice.notes
    assert note.startswith("ranges by moving-average: a few calibration samples stretch 3 activations")
    assert note.endswith("minmax 20.0 dB, moving-average 40.0 dB, entropy 30.5 dB")


def test_the_extremes_stay_where_cutting_values_off_gains_less_than_a_decibel() -> None:
    assert _chosen({"minmax": 0.1, "moving-average": 0.095, "entropy": 0.2}).method == "minmax"


def test_a_range_is_stretched_when_it_is_far_wider_than_a_usual_one() -> None:
    assert stretched_count([(4.0, 1.0), (4.1, 1.0), (0.0, 0.0), (1.0, 0.0)]) == 2


def test_one_sample_far_beyond_all_others_counts_as_one() -> None:
    data = _data(4, stretched=True)

    class Lost(_Scaled):
        def run(self, feed: dict[str, Any]) -> list[Any]:
            return [feed["x"] if np.abs(feed["x"]).max() > 100 else feed["x"] * 0.9]

    reference = Reference(_Scaled(0.0), data, 60)
    assert reference.sqnr_db(Lost(0.0)) > 40
    # 59 samples at 20 dB, and one without an error, which counts as 60.
    assert reference.mean_sqnr_db(Lost(0.0)) == pytest.approx((59 * 20 + 60) / 60, rel=1e-4)


def _onnx(tmp_path: Path, data: CalibrationData, method: str) -> tuple[Path, Path, StepReport]:
    model = int8_models.mlp(tmp_path / "m.onnx")
    return model, *int8_models.applied(StaticInt8(calibration_method=method), model, data)


def _tflite(tmp_path: Path, data: CalibrationData, method: str) -> tuple[Path, Path, StepReport]:
    model = perceptron(tmp_path / "m.tflite")
    return model, *tflite_running.applied(StaticInt8(calibration_method=method), model, data)


_FORMATS = pytest.mark.parametrize(("made_by", "width"), [(_onnx, 24), (_tflite, 32)])


@_FORMATS
def test_without_stretched_ranges_auto_gives_the_bytes_of_the_extremes(
    tmp_path: Path, made_by: Any, width: int
) -> None:
    data = _data(width, stretched=False)
    _, made, report = made_by(tmp_path, data, "auto")
    content = made.read_bytes()
    assert report.settings["calibration_method"] == "minmax"
    assert not [note for note in report.notes if note.startswith("ranges by")]
    assert made_by(tmp_path, data, "minmax")[1].read_bytes() == content


@_FORMATS
def test_a_sample_that_stretches_all_ranges_is_not_what_they_are_made_for(
    tmp_path: Path, made_by: Any, width: int
) -> None:
    data = _data(width, stretched=True)
    _, made, report = made_by(tmp_path, data, "auto")
    chosen = report.settings["calibration_method"]
    assert chosen != "minmax"
    assert [note for note in report.notes if note.startswith(f"ranges by {chosen}:")]
    content = made.read_bytes()
    assert made_by(tmp_path, data, str(chosen))[1].read_bytes() == content
    assert made_by(tmp_path, data, "minmax")[1].read_bytes() != content


def test_sixteen_bits_keep_the_extremes(tmp_path: Path) -> None:
    model = int8_models.mlp(tmp_path / "m.onnx")
    _, report = int8_models.applied(StaticInt8(activation_type="uint16"), model, _data(24, stretched=True))
    assert report.settings["calibration_method"] == "minmax"


def test_a_stretched_model_gives_usual_samples_back_their_digits(tmp_path: Path) -> None:
    data = _data(24, stretched=True)
    feed = {"x": int8_models.drawn(32, 24)}
    model, made, _ = _onnx(tmp_path, data, "auto")
    ours = int8_models.sqnr_db(int8_models.outputs(model, feed), int8_models.outputs(made, feed))
    _, made, _ = _onnx(tmp_path, data, "minmax")
    assert ours > int8_models.sqnr_db(int8_models.outputs(model, feed), int8_models.outputs(made, feed)) + 10

"""Ranges of activations on calibration data: planted extremes, planted outliers, and a batch at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.compress.calibration import CalibrationData, read_calibration
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tflite.activation_ranges import BIN_COUNT, Activations, RangeRule, chosen_range
from steelyard.tasks.packing import pack
from tests.controller.compress.tflite_running import graph_of
from tests.support.tflite_nets import Net, perceptron


def _data(values: np.ndarray) -> CalibrationData:
    return read_calibration(pack("x", values.astype(np.float32)))


def _ranges(model: Path, data: CalibrationData, rule: RangeRule) -> dict[str, tuple[float, float]]:
    return Activations(model, graph_of(model), data, lambda message, done, total: None).ranges(rule)


def _relu(path: Path, *, batch: int = 1) -> Path:
    net = Net()
    source = net.tensor("x", (batch, 8))
    return net.write(path, [source], [net.unary("RELU", source)])


def test_minmax_finds_the_planted_extremes_of_every_tensor(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (20, 8))
    values[3, 2], values[17, 5] = -7.5, 9.25
    found = _ranges(_relu(tmp_path / "m.tflite"), _data(values), RangeRule())
    assert found["x"] == (-7.5, 9.25)
    assert found["relu0"] == (0.0, 9.25)


def test_percentile_leaves_a_planted_outlier_out_and_keeps_the_rest(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (200, 8))
    values[3, 2] = 40.0
    low, high = _ranges(_relu(tmp_path / "m.tflite"), _data(values), RangeRule(method="percentile", percentile=99.0))[
        "x"
    ]
    width = 41.0 / BIN_COUNT
    assert -1.0 - width < low < -0.95
    assert 0.95 < high < 1.0 + width


def test_a_moving_average_is_that_of_the_extremes_of_samples_and_does_not_begin_at_zero(tmp_path: Path) -> None:
    values = np.zeros((3, 8))
    values[:, 0], values[:, 1] = -2.0, 4.0
    values[2, 1] = 400.0
    low, high = _ranges(_relu(tmp_path / "m.tflite"), _data(values), RangeRule(method="moving-average"))["x"]
    assert low == pytest.approx(-2.0, rel=1e-6)
    # The weights of 0.01, the last sample's most: 0.99 * 0.99, 0.99 and 1.
    assert high == pytest.approx((4.0 * (0.9801 + 0.99) + 400.0) / (0.9801 + 0.99 + 1.0), rel=1e-6)


def test_percentile_of_one_hundred_keeps_everything(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (20, 8))
    found = _ranges(_relu(tmp_path / "m.tflite"), _data(values), RangeRule(method="percentile", percentile=100.0))
    assert found["x"] == pytest.approx((values.min(), values.max()), abs=1e-6)


def test_mse_clips_a_long_tail_and_leaves_a_uniform_range_alone() -> None:
    centres = np.linspace(-8.0, 8.0, BIN_COUNT)
    bell = np.round(1e6 * np.exp(-(centres**2) * 2)).astype(np.int64)
    bell[-1] += 1
    clipped = chosen_range(bell, (-8.0, 8.0), RangeRule(method="mse", bits=8))
    assert clipped[1] < 5.0
    flat = chosen_range(np.full(BIN_COUNT, 1000), (-8.0, 8.0), RangeRule(method="mse", bits=8))
    assert flat[1] > 7.9


def test_a_batch_at_a_time_is_fed_and_a_last_partial_one_is_filled(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    data = _data(np.random.default_rng(0).uniform(-1, 1, (10, 8)))

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(data, name)

        def feed(self, start: int, stop: int) -> dict[str, np.ndarray]:
            asked.append((start, stop))
            return data.feed(start, stop)

    watched: Any = Watched()
    _ranges(_relu(tmp_path / "m.tflite", batch=4), watched, RangeRule())
    assert asked == [(0, 4), (4, 8), (6, 10)]


def test_both_passes_are_in_the_progress(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    model = perceptron(tmp_path / "m.tflite")
    data = _data(np.random.default_rng(0).standard_normal((5, 32)))
    rule = RangeRule(method="percentile", percentile=99.0)
    Activations(model, graph_of(model), data, lambda *one: told.append(one)).ranges(rule)
    assert told == [(what, done, 5) for what in ("calibrating", "counting values") for done in range(1, 6)]


def test_nan_in_the_data_is_refused_with_the_sample(tmp_path: Path) -> None:
    values = np.zeros((6, 8))
    values[4, 1] = np.nan
    with pytest.raises(
        CompressionInputError, match="NaN in its tensor 'x' for the calibration data from sample 4"
    ) as caught:
        _ranges(_relu(tmp_path / "m.tflite"), _data(values), RangeRule())
    assert caught.value.reason == "not_finite"


def test_the_largest_numbers_of_masks_say_nothing_of_a_range(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (6, 8)).astype(np.float32)
    values[:, 7] = -np.inf
    values[:, 6] = np.finfo(np.float32).min
    low, _high = _ranges(_relu(tmp_path / "m.tflite"), _data(values), RangeRule())["x"]
    assert low == float(values[:, :6].min())

"""Ranges over calibration data are those of every sample, and memory does not grow with their number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from steelyard.compress.calibration import batches, open_calibration, read_calibration
from steelyard.compress.calibrators import passes
from steelyard.compress.calibrators.observed import observed_tensors
from steelyard.compress.calibrators.passes import observe_extremes, observe_histograms
from steelyard.compress.calibrators.range_settings import RangeSettings
from steelyard.compress.calibrators.ranges import Ranges, calibrated_ranges, observed_activations
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.folding import fold
from steelyard.compress.static_quantizer import quantizable_ops
from steelyard.tasks.npz import write_npz
from steelyard.tasks.packing import pack
from tests.controller.compress.inputs import packed_samples
from tests.controller.compress.int8_models import Graph, mlp, samples, shortcut_cnn


def _folded(model: Path) -> Path:
    path = model.with_name("folded.onnx")
    fold(model, path, min_opset=13)
    return path


def _ranges(model: Path, data: Any, method: str = "minmax", *, percentile: float = 99.999, **fields: Any) -> Ranges:
    def progress(what: str, done: int, total: int) -> None:
        pass

    observed = observed_activations(_folded(model), data, op_types=quantizable_ops(), progress=progress, **fields)
    return calibrated_ranges(observed, data, RangeSettings(method=method, percentile=percentile), progress=progress)


def _truth(model: Path, names: list[str], data: Any) -> dict[str, np.ndarray]:
    """Return every value of the named tensors, by a plain run over all samples at once."""
    stored = onnx.load_model(_folded(model))
    del stored.graph.output[:]
    stored.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(stored.SerializeToString(), options)
    return dict(zip(names, session.run(None, data.feed(0, data.sample_count)), strict=True))


def test_minmax_is_what_a_plain_run_over_all_samples_shows(tmp_path: Path) -> None:
    model, data = shortcut_cnn(tmp_path / "m.onnx"), samples(21, 1, 12, 12, name="image")
    found = _ranges(model, data)
    names = ["second_relu", "third", "sum_relu", "pooled", "logits"]
    for name, values in _truth(model, names, data).items():
        expected = (min(float(values.min()), 0.0), max(float(values.max()), 0.0))
        assert found[name] == (pytest.approx(expected[0], abs=1e-5), pytest.approx(expected[1], abs=1e-5))


def test_the_range_behind_a_relu_serves_the_layer_before_it(tmp_path: Path) -> None:
    found = _ranges(shortcut_cnn(tmp_path / "m.onnx"), samples(8, 1, 12, 12, name="image"))
    assert found["second"] == found["second_relu"]
    assert found["second"][0] == 0.0
    # It is read beside the Relu's reader too.
    assert found["third"][0] < 0.0


def test_histograms_hold_every_value_whatever_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = shortcut_cnn(tmp_path / "m.onnx"), samples(9, 1, 12, 12, name="image")
    stored = onnx.load_model(_folded(model))
    names = [name for name in observed_tensors(stored, op_types=quantizable_ops()) if name != "image"]
    seen = observe_extremes(stored, names, data, lambda *_: None)
    whole = observe_histograms(stored, seen, data, lambda *_: None)
    told: list[str] = []
    monkeypatch.setattr(passes, "GROUP_BYTES", 4 * 12 * 12 * 16)
    parts = observe_histograms(stored, seen, data, lambda message, *_: told.append(message))
    assert len(set(told)) > 3
    for name, values in _truth(model, names, data).items():
        assert whole[name].counts.sum() + whole[name].zero_count == values.size
        np.testing.assert_array_equal(whole[name].counts, parts[name].counts)


@pytest.mark.parametrize("method", ["entropy", "percentile", "moving-average"])
def test_methods_that_go_by_counts_cut_a_single_outlier(tmp_path: Path, method: str) -> None:
    values = np.random.default_rng(0).standard_normal((200, 24)).astype(np.float32)
    values[100, 3] = 60.0
    data = read_calibration(write_npz({"x.values": values}))
    model = mlp(tmp_path / "m.onnx")
    assert _ranges(model, data)["x"][1] == 60.0
    found = _ranges(model, data, method, percentile=99.9, whole={"layer0"})
    assert 1.5 < found["x"][1] < 30.0
    assert found["layer0"] == _ranges(model, data)["layer0"]


def test_a_moving_average_does_not_begin_at_zero(tmp_path: Path) -> None:
    data = read_calibration(write_npz({"x.values": np.full((3, 24), 2.0, np.float32)}))
    assert _ranges(mlp(tmp_path / "m.onnx"), data, "moving-average")["x"] == (0.0, pytest.approx(2.0, rel=1e-6))


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile", "mse"])
def test_one_sample_and_a_constant_give_ranges_that_are_not_empty(tmp_path: Path, method: str) -> None:
    net = Graph()
    net.node("Mul", ["x", net.store("nothing", np.zeros(4))], "dead")
    net.node("Add", ["dead", net.drawn("b", 4)], "y")
    model = net.write(tmp_path / "m.onnx", [("x", ["batch", 4])], ("y", ["batch", 4]))
    found = _ranges(model, samples(1, 4), method)
    assert found["dead"] == (0.0, 1.0)
    assert all(high > low for low, high in found.values())


def test_what_is_infinite_has_no_range(tmp_path: Path) -> None:
    net = Graph()
    net.node("Add", ["x", "far"], "moved")
    net.node("Relu", ["moved"], "y")
    net.store("far", np.array([0, 0, 0, -np.inf]))
    model = net.write(tmp_path / "m.onnx", [("x", ["batch", 4])], ("y", ["batch", 4]))
    found = _ranges(model, samples(3, 4))
    assert "x" in found
    assert found["moved"] == found["y"]
    net = Graph()
    net.node("Add", ["x", net.store("far", np.array([0, 0, 0, np.inf]))], "y")
    model = net.write(tmp_path / "m.onnx", [("x", ["batch", 4])], ("y", ["batch", 4]))
    assert set(_ranges(model, samples(3, 4))) == {"x"}


def test_fewer_samples_than_a_fixed_batch_are_refused_and_a_last_batch_is_filled() -> None:
    data = samples(10, 4)
    got = list(batches(data, size=4, progress=lambda *_: None, what="calibrating"))
    assert [feed["x"].shape[0] for feed in got] == [4, 4, 4]
    np.testing.assert_array_equal(got[2]["x"][2:], data.feed(8, 10)["x"])
    with pytest.raises(CompressionInputError, match="batches of 16"):
        list(batches(data, size=16, progress=lambda *_: None, what="calibrating"))


def test_a_sample_with_nan_is_named() -> None:
    values = np.zeros((10, 4), np.float32)
    values[6, 2] = np.nan
    data = read_calibration(write_npz({"x.values": values}))
    with pytest.raises(CompressionInputError, match="sample 6 of the calibration data holds NaN in the input 'x'"):
        list(batches(data, size=4, progress=lambda *_: None, what="calibrating"))


def test_data_in_a_file_is_that_in_memory(tmp_path: Path) -> None:
    for content in (packed_samples(7, (3, 2), "x"), pack("x", np.arange(42, dtype=np.float32).reshape(7, 3, 2) % 5)):
        (tmp_path / "calibration.npz").write_bytes(content)
        lazy, whole = open_calibration(tmp_path / "calibration.npz"), read_calibration(content)
        assert (lazy.digest, lazy.sample_count) == (whole.digest, 7)
        assert lazy.inputs["x"].dtype == whole.inputs["x"].dtype == "float32"
        np.testing.assert_array_equal(lazy.feed(2, 5)["x"], whole.feed(2, 5)["x"])


_MEASURED = """
import sys
from pathlib import Path
from steelyard.compress.contract import StepContext
from steelyard.compress.calibration import open_calibration
from steelyard.compress.steps.static_int8 import StaticInt8

model, data, out = (Path(one) for one in sys.argv[1:4])
context = StepContext(work_dir=out.parent, progress=lambda *_: None, calibration=open_calibration(data))
StaticInt8(calibration_method=sys.argv[4]).apply(model, out, context)
# The peak of this program alone: ru_maxrss begins with that of the program that started it.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks of memory are read from /proc")
def test_a_thousand_samples_take_the_memory_of_a_hundred(tmp_path: Path) -> None:
    net = Graph()
    net.node("Relu", [net.conv("image", "first", 3, 8, strides=[2, 2])], "relu")
    net.node("GlobalAveragePool", ["relu"], "pooled")
    size = 64
    model = net.write(tmp_path / "m.onnx", [("image", ["batch", 3, size, size])], ("pooled", ["batch", 8, 1, 1]))
    peaks = []
    for count in (100, 1000):
        data = tmp_path / f"{count}.npz"
        # 49 MB of samples for the thousand: they would be seen, were they kept.
        data.write_bytes(packed_samples(count, (3, size, size)))
        arguments = [str(model), str(data), str(tmp_path / "out.onnx"), "entropy"]
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, *arguments], capture_output=True, text=True, check=True, timeout=120
        )
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < 1.2 * peaks[0]

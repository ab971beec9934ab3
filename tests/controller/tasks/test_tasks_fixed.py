"""Fixed inputs and whole inferences: what has no batch axis reaches a model as it declares it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard.compress.calibration import PackedInput, batches, open_calibration, read_calibration
from steelyard.compress.errors import CompressionInputError
from steelyard.tasks.checks import check_fits
from steelyard.tasks.errors import TaskError
from steelyard.tasks.fixed import fixed_inputs, fixed_value
from steelyard.tasks.load import load_task
from steelyard.tasks.materialise import materialise
from steelyard_protocol.v1 import common_pb2


def _spec(name: str, dtype: str, *sizes: int | str) -> common_pb2.TensorSpec:
    dimensions = [
        common_pb2.Dimension(size=size) if isinstance(size, int) else common_pb2.Dimension(symbol=size)
        for size in sizes
    ]
    return common_pb2.TensorSpec(name=name, dtype=dtype, dimensions=dimensions)


_SIGNATURE = common_pb2.Signature(
    inputs=[_spec("x", "float32", "N", 3), _spec("sr", "int64")], outputs=[_spec("y", "float32", "N", 2)]
)


def _task(folder: Path, text: str, **arrays: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    plain = {
        "x": rng.standard_normal((5, 3)).astype(np.float32),
        "c": rng.standard_normal((4, 3)).astype(np.float32),
        "y": np.arange(5) % 2,
    }
    np.savez(folder / "d.npz", **(plain | arrays))
    path = folder / "task.toml"
    path.write_text('name = "t"\ndata = "d.npz"\n' + text, encoding="utf-8")
    return path


_FIXED = '[evaluation]\ninputs = "x"\nlabels = "y"\n[calibration]\ninputs = "c"\n[fixed.sr]\nvalue = 16000\n'


def test_a_fixed_value_makes_each_sample_a_whole_inference(tmp_path: Path) -> None:
    task = load_task(_task(tmp_path, _FIXED))
    made = materialise(task, check_fits(task, _SIGNATURE), fixed=fixed_inputs(task, _SIGNATURE))
    assert made.calibration is not None
    data = read_calibration(made.calibration.inputs)
    assert (data.sample_count, data.is_whole, data.batch(32)) == (4, True, 1)
    feed = data.feed(2, 3)
    assert (feed["sr"].shape, feed["sr"].dtype, int(feed["sr"])) == ((), np.dtype(np.int64), 16_000)
    np.testing.assert_array_equal(feed["x"], task.calibration.inputs[""][2:3])
    (tmp_path / "blob.npz").write_bytes(made.calibration.inputs)
    stored = open_calibration(tmp_path / "blob.npz")
    np.testing.assert_array_equal(stored.feed(2, 3)["x"], feed["x"])
    with pytest.raises(ValueError, match="one by one"):
        data.feed(0, 2)


def test_nan_in_a_whole_inference_names_its_sample(tmp_path: Path) -> None:
    text = 'whole = true\n[evaluation]\ninputs = { h = "h", s = "s" }\n[metric]\nkind = "sqnr"\n'
    task = load_task(_task(tmp_path, text, h=np.ones((4, 2, 1, 8), np.float32), s=np.ones(4, np.float32)))
    signature = common_pb2.Signature(inputs=[_spec("h", "float32", 2, "N", 8), _spec("s", "float32")])
    whole = read_calibration(materialise(task, check_fits(task, signature)).evaluation.inputs)
    for name, place in (("h", (2, 1, 0, 3)), ("s", (2,))):
        values = np.array(whole.inputs[name].samples(0, 4))
        values[place] = np.nan
        broken = replace(whole, inputs={**whole.inputs, name: PackedInput(values=values, table=None)})
        with pytest.raises(
            CompressionInputError, match=f"sample 2 of the calibration data holds NaN in the input '{name}'"
        ):
            list(batches(broken, size=1, progress=lambda message, done, total: None, what="reading"))


def test_data_without_fixed_values_keeps_its_bytes(tmp_path: Path) -> None:
    task = load_task(_task(tmp_path, _FIXED.partition("[fixed")[0]))
    signature = common_pb2.Signature(inputs=_SIGNATURE.inputs[:1], outputs=_SIGNATURE.outputs)
    made = materialise(task, check_fits(task, signature), fixed=fixed_inputs(task, signature))
    assert not read_calibration(made.evaluation.inputs).is_whole


def test_whole_samples_fit_a_state_whose_batch_is_its_second_axis(tmp_path: Path) -> None:
    text = 'whole = true\n[evaluation]\ninputs = { x = "xs", h = "hs" }\n[metric]\nkind = "sqnr"\n'
    arrays = {"xs": np.ones((4, 1, 3), np.float32), "hs": np.ones((4, 2, 1, 8), np.float32)}
    task = load_task(_task(tmp_path, text, **arrays))
    signature = common_pb2.Signature(inputs=[_spec("x", "float32", "N", 3), _spec("h", "float32", 2, "N", 8)])
    made = materialise(task, check_fits(task, signature))
    assert read_calibration(made.evaluation.inputs).feed(0, 1)["h"].shape == (2, 1, 8)
    other = common_pb2.Signature(inputs=[_spec("x", "float32", "N", 3), _spec("h", "float32", 3, "N", 8)])
    with pytest.raises(TaskError, match=r"'h' has the shape \[3, N, 8\]"):
        check_fits(task, other)


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        (3, _spec("a", "float32"), np.float32(3)),
        (2, _spec("a", "int32", "N", 3), np.full((1, 3), 2, np.int32)),
        ([[1, 0]], _spec("a", "bool", 1, 2), np.array([[True, False]])),
        (True, _spec("a", "bool"), np.array(True)),
    ],
)
def test_values_take_the_declared_dtype_and_shape(value: object, spec: common_pb2.TensorSpec, expected) -> None:
    found = fixed_value(value, spec, where="here")
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("value", "spec", "sentence"),
    [
        (1.5, _spec("a", "int64"), "1.5 is no int64"),
        (300, _spec("a", "uint8"), "300 is no uint8"),
        ("fast", _spec("a", "int64"), "'fast' is no int64"),
        (float("nan"), _spec("a", "float32"), "nan is no float32"),
        (float("inf"), _spec("a", "int64"), "inf is no int64"),
        (1e40, _spec("a", "float32"), r"1e\+40 is no float32"),
        ([[1], [1, 2]], _spec("a", "int64", 2, 2), "ragged"),
        (1, _spec("a", "int64", "N", "T"), "with an open size"),
        ([1, 2], _spec("a", "int64", 3), r"shape \[2\] and the input takes \[3\]"),
    ],
)
def test_values_that_an_input_cannot_take_are_refused(
    value: object, spec: common_pb2.TensorSpec, sentence: str
) -> None:
    with pytest.raises(TaskError, match=sentence):
        fixed_value(value, spec, where="here")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (_FIXED.replace("fixed.sr", "fixed.rs"), "'sr' has no data in|the model has the inputs x, sr"),
        (_FIXED.replace("value", "valeu"), "did you mean 'value'"),
        (_FIXED.replace("value = 16000", ""), "lacks the key 'value'"),
        ("whole = 1\n" + _FIXED, "'whole' is 1; write true or false"),
        ('whole = true\n[evaluation]\ninputs = "x"\n[preprocess]\ndivide = 2.0\n', r"no \[preprocess\]"),
    ],
)
def test_a_task_with_a_mistake_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    def use(path: Path) -> None:
        task = load_task(path)
        fixed_inputs(task, _SIGNATURE)
        check_fits(task, _SIGNATURE)

    path = _task(tmp_path, text)
    with pytest.raises(TaskError, match=sentence):
        use(path)


def test_a_model_of_a_fixed_batch_takes_no_fixed_inputs(tmp_path: Path) -> None:
    task = load_task(_task(tmp_path, _FIXED))
    signature = common_pb2.Signature(inputs=[_spec("x", "float32", 8, 3), _spec("sr", "int64")])
    with pytest.raises(TaskError, match="takes batches of 8"):
        fixed_inputs(task, signature)


def test_large_fixed_inputs_are_refused_before_they_are_repeated(tmp_path: Path) -> None:
    task = load_task(_task(tmp_path, _FIXED))
    signature = common_pb2.Signature(inputs=[_spec("x", "float32", "N", 3), _spec("sr", "int64", 2048, 1024)])
    with pytest.raises(TaskError, match="build them into the model"):
        fixed_inputs(task, signature)

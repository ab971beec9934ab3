"""TFLite files are read and written without loss, and their numeric form is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.artifacts import read_artifact
from steelyard.compress.contract import FLOAT16, FLOAT32, INT8
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.steps.dynamic_int8 import DynamicInt8
from steelyard.compress.steps.float16 import Float16
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.compress.tflite.finishing import final_bytes
from steelyard.compress.tflite.flatbuffer_model import add_buffer, model_bytes, parse_model, read_model
from steelyard.compress.tflite.model_form import numeric_form, refuse_nan_weights
from tests.controller.compress.tflite_running import applied, images, outputs
from tests.support.tflite_nets import mobile_net, perceptron


def test_reading_and_writing_changes_no_output(tmp_path: Path) -> None:
    model = mobile_net(tmp_path / "m.tflite", signatures=1)
    again = tmp_path / "again.tflite"
    again.write_bytes(model_bytes(read_model(model)))
    np.testing.assert_array_equal(outputs(again, images()), outputs(model, images()))
    assert read_artifact(again).signature == read_artifact(model).signature


def test_every_buffer_begins_at_a_multiple_of_sixteen_bytes(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    content = model_bytes(read_model(mobile_net(tmp_path / "m.tflite")))
    packed = schema.Model.GetRootAs(content, 0)
    stored = [packed.Buffers(place).DataAsNumpy() for place in range(packed.BuffersLength())]
    base = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    places = [data.__array_interface__["data"][0] - base for data in stored if isinstance(data, np.ndarray)]
    assert len(places) > 5
    assert {place % 16 for place in places} == {0}


@pytest.mark.parametrize(
    ("step", "form"),
    [(None, FLOAT32), (StaticInt8(), INT8), (DynamicInt8(), INT8), (Float16(), FLOAT16)],
)
def test_the_numeric_form_is_that_of_what_is_computed(tmp_path: Path, step: Any, form: str) -> None:
    model = mobile_net(tmp_path / "m.tflite")
    made = model if step is None else applied(step, model, images())[0]
    assert numeric_form(made) == form


def test_data_behind_the_flatbuffer_is_brought_in(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = perceptron(tmp_path / "m.tflite", features=64, hidden=64)
    inside = read_model(model)
    data = [buffer.data for buffer in inside.buffers]
    for buffer in inside.buffers:
        if buffer.data is not None:
            buffer.data, buffer.offset, buffer.size = None, 2, 2
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(inside.Pack(builder), file_identifier=b"TFL3")
    start = len(builder.Output())
    place = start
    for buffer, values in zip(inside.buffers, data, strict=True):
        if values is not None:
            buffer.offset, buffer.size = place, len(values)
            place += len(values)
    builder = flatbuffers.Builder(1024)
    builder.Finish(inside.Pack(builder), file_identifier=b"TFL3")
    assert len(builder.Output()) == start
    content = bytes(builder.Output()) + b"".join(bytes(values) for values in data if values is not None)
    assert schema.Model.GetRootAs(content, 0).Buffers(1).DataIsNone()
    found = parse_model(content)
    for buffer, values in zip(found.buffers, data, strict=True):
        assert (buffer.data is None) == (values is None)
        if values is not None:
            np.testing.assert_array_equal(buffer.data, values)
    assert all((buffer.offset, buffer.size) == (0, 0) for buffer in found.buffers)


def test_final_bytes_are_those_of_the_model_alone(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = mobile_net(tmp_path / "m.tflite")
    clean = final_bytes(model)
    changed = read_model(model)
    unused = schema.OperatorCodeT()
    unused.builtinCode = unused.deprecatedBuiltinCode = schema.BuiltinOperator.TANH
    changed.operatorCodes.insert(0, unused)
    for operator in changed.subgraphs[0].operators:
        operator.opcodeIndex += 1
    trace = schema.MetadataT()
    trace.name, trace.buffer = b"CONVERSION_METADATA", add_buffer(changed, np.arange(40, dtype=np.uint8))
    changed.metadata = [trace]
    traced = tmp_path / "traced.tflite"
    traced.write_bytes(model_bytes(changed))
    assert traced.stat().st_size > len(clean)
    assert final_bytes(traced) == clean
    finished = tmp_path / "finished.tflite"
    finished.write_bytes(clean)
    assert final_bytes(finished) == clean
    np.testing.assert_array_equal(outputs(finished, images()), outputs(model, images()))


def test_metadata_of_the_model_is_kept(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    changed = read_model(mobile_net(tmp_path / "m.tflite"))
    kept = schema.MetadataT()
    kept.name, kept.buffer = b"TFLITE_METADATA", add_buffer(changed, np.arange(40, dtype=np.uint8))
    changed.metadata = [kept]
    path = tmp_path / "kept.tflite"
    path.write_bytes(model_bytes(changed))
    found = parse_model(final_bytes(path))
    assert [one.name for one in found.metadata] == [b"TFLITE_METADATA"]
    np.testing.assert_array_equal(found.buffers[found.metadata[0].buffer].data, np.arange(40))


def test_nan_in_a_weight_is_refused_by_name(tmp_path: Path) -> None:
    refuse_nan_weights(perceptron(tmp_path / "fine.tflite"))
    with pytest.raises(CompressionInputError, match="the tensor 'constant2' holds 1 NaN") as caught:
        refuse_nan_weights(perceptron(tmp_path / "m.tflite", scale=float("nan")))
    assert caught.value.reason == "nan_weights"


def test_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    from steelyard.compress.errors import CompressionError

    path = tmp_path / "m.tflite"
    path.write_bytes(perceptron(tmp_path / "whole.tflite").read_bytes()[:200])
    with pytest.raises(CompressionError, match=r"reading m\.tflite failed"):
        read_model(path)


def test_a_file_beyond_the_offsets_of_its_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steelyard.compress.tflite.flatbuffer_model._MAX_BYTES", 1000)
    with pytest.raises(CompressionInputError, match="models of more than 2 GiB cannot be rewritten") as caught:
        read_model(perceptron(tmp_path / "m.tflite"))
    assert caught.value.reason == "model_too_large"

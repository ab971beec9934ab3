"""Model files are read without being executed, and every damaged one gives a sentence."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from steelyard.artifacts import InvalidModelError, read_artifact
from steelyard.errors import EXIT_INFRASTRUCTURE, SteelyardError
from steelyard_protocol.v1 import common_pb2
from tests.support.models import conv_model, external_data_model, linear_model, token_model, unknown_op_model
from tests.support.tflite_models import tflite_linear_model


def _reason(path: Path, **options: Path) -> str:
    with pytest.raises(InvalidModelError) as caught:
        read_artifact(path, **options)
    assert path.name in str(caught.value)
    assert caught.value.exit_code == 2
    return caught.value.reason


def _shape(spec: common_pb2.TensorSpec) -> list[int | str]:
    return [d.size if d.HasField("size") else d.symbol for d in spec.dimensions]


def test_an_onnx_model_is_read_with_its_digest_and_signature(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "m.onnx")
    artifact = read_artifact(path)
    assert artifact.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert artifact.format == common_pb2.ARTIFACT_FORMAT_ONNX
    assert (artifact.size_bytes, artifact.bytes_path, artifact.notes) == (path.stat().st_size, path, ())
    (spec,) = artifact.signature.inputs
    assert (spec.name, spec.dtype, _shape(spec)) == ("x", "float32", ["batch", 4])
    assert [_shape(spec) for spec in artifact.signature.outputs] == [["batch", 3]]


def test_several_inputs_of_integers_are_read(tmp_path: Path) -> None:
    signature = read_artifact(token_model(tmp_path / "m.onnx")).signature
    assert [(spec.name, spec.dtype) for spec in signature.inputs] == [
        ("input_ids", "int64"),
        ("attention_mask", "int64"),
    ]


def test_an_initializer_that_is_also_an_input_is_not_asked_for(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    model.graph.input.append(helper.make_tensor_value_info("bias", TensorProto.FLOAT, [3]))
    onnx.save_model(model, path)
    assert [spec.name for spec in read_artifact(path).signature.inputs] == ["x"]


def test_a_tflite_model_is_told_by_its_content(tmp_path: Path) -> None:
    path = tflite_linear_model(tmp_path / "m.tflite", dynamic_batch=True)
    artifact = read_artifact(path.rename(tmp_path / "model.bin"))
    assert artifact.format == common_pb2.ARTIFACT_FORMAT_TFLITE
    (spec,) = artifact.signature.inputs
    assert (spec.name, spec.dtype, _shape(spec)) == ("x", "float32", ["", 4])


def test_a_fixed_tflite_batch_is_a_size(tmp_path: Path) -> None:
    artifact = read_artifact(tflite_linear_model(tmp_path / "m.tflite"))
    assert _shape(artifact.signature.outputs[0]) == [1, 3]


def test_a_suffix_that_contradicts_the_content_is_refused(tmp_path: Path) -> None:
    tflite = tflite_linear_model(tmp_path / "a.tflite").rename(tmp_path / "a.onnx")
    onnx_file = linear_model(tmp_path / "b.onnx").rename(tmp_path / "b.tflite")
    assert _reason(tflite) == "wrong_suffix"
    assert _reason(onnx_file) == "wrong_suffix"


def test_a_missing_file_a_folder_and_an_empty_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    assert _reason(tmp_path / "nothing.onnx") == "model_not_found"
    assert _reason(tmp_path) == "model_is_a_directory"
    assert _reason(tmp_path / "empty.onnx") == "empty_model"


def test_a_path_that_cannot_exist_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelError) as caught:
        read_artifact(tmp_path / ("x" * 300))
    assert caught.value.reason == "model_unreadable"


def test_a_model_of_two_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.onnx"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 2**31)
    with pytest.raises(InvalidModelError, match=str(2**31)) as caught:
        read_artifact(path)
    assert caught.value.reason == "model_too_large"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"PK\x03\x04 and more", "zip"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x18\x00\x00\x00ORTM and more", "ORT"),
        (b'\x10\x00\x00\x00\x00\x00\x00\x00{"weight": {}}', "safetensors"),
    ],
)
def test_files_of_other_kinds_are_named_with_the_way_out(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InvalidModelError, match=word) as caught:
        read_artifact(path)
    assert caught.value.reason == "unknown_format"


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(tmp_path: Path, kept: float) -> None:
    for path in (conv_model(tmp_path / "c.onnx"), tflite_linear_model(tmp_path / "t.tflite")):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
        assert _reason(path) == "malformed_model"


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.onnx"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert _reason(path) == "malformed_model"


def test_a_graph_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    model.graph.node[0].input[0] = "nowhere"
    onnx.save_model(model, path)
    assert _reason(path) == "malformed_model"


def test_nodes_out_of_order_are_a_note(tmp_path: Path) -> None:
    path = conv_model(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    nodes = list(model.graph.node)[::-1]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    onnx.save_model(model, path)
    (note,) = read_artifact(path).notes
    assert "topological order" in note


def test_a_model_without_outputs_or_inputs_is_refused(tmp_path: Path) -> None:
    for field in ("input", "output"):
        path = linear_model(tmp_path / "m.onnx")
        model = onnx.load_model(path)
        model.graph.ClearField(field)
        onnx.save_model(model, path)
        assert _reason(path) == "no_signature"


def test_outputs_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_sequence_value_info("logits", TensorProto.FLOAT, None))
    onnx.save_model(model, path)
    assert _reason(path) == "unsupported_signature"


def test_an_unknown_element_type_is_refused(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    model.graph.input[0].type.tensor_type.elem_type = 999
    onnx.save_model(model, path)
    assert _reason(path) == "malformed_model"


def test_a_custom_domain_is_a_note(tmp_path: Path) -> None:
    (note,) = read_artifact(unknown_op_model(tmp_path / "m.onnx", domain="org.example")).notes
    assert "org.example" in note


@pytest.mark.parametrize("has_type", [True, False])
def test_an_output_without_a_shape_gets_the_one_that_follows(tmp_path: Path, has_type: bool) -> None:
    path = linear_model(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    (told,) = read_artifact(path).signature.outputs
    if has_type:
        model.graph.output[0].type.tensor_type.ClearField("shape")
    else:
        model.graph.output[0].ClearField("type")
    onnx.save_model(model, path)
    before = path.read_bytes()
    artifact = read_artifact(path, work_dir=tmp_path / "work")
    assert list(artifact.signature.outputs) == [told]
    assert "was inferred" in artifact.notes[0]
    assert hashlib.sha256(artifact.bytes_path.read_bytes()).hexdigest() == artifact.digest
    assert path.read_bytes() == before
    assert _reason(path) == "no_output_shapes"


def test_an_output_whose_shape_does_not_follow_is_refused(tmp_path: Path) -> None:
    path = unknown_op_model(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save_model(model, path)
    assert _reason(path, work_dir=tmp_path / "work") == "malformed_model"


def test_external_data_is_taken_into_one_file(tmp_path: Path) -> None:
    path = external_data_model(tmp_path / "m.onnx")
    before = path.read_bytes()
    artifact = read_artifact(path, work_dir=tmp_path / "work")
    assert artifact.bytes_path.parent == tmp_path / "work"
    assert artifact.digest == hashlib.sha256(artifact.bytes_path.read_bytes()).hexdigest()
    assert "external data" in artifact.notes[0]
    inlined = onnx.load_model(artifact.bytes_path, load_external_data=False)
    for mine, original in zip(inlined.graph.initializer, onnx.load_model(path).graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(mine), numpy_helper.to_array(original))
    assert path.read_bytes() == before


def test_external_data_without_a_work_folder_is_refused(tmp_path: Path) -> None:
    assert _reason(external_data_model(tmp_path / "m.onnx")) == "external_data"


def test_a_work_folder_that_takes_nothing_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SteelyardError, match=r"cannot hold it .*set TMPDIR") as caught:
        read_artifact(external_data_model(tmp_path / "m.onnx"), work_dir=tmp_path / "file")
    assert (caught.value.reason, caught.value.exit_code) == ("model_not_inlined", EXIT_INFRASTRUCTURE)


def test_a_missing_external_file_is_named(tmp_path: Path) -> None:
    path = external_data_model(tmp_path / "m.onnx")
    (data,) = [file for file in tmp_path.iterdir() if file != path]
    data.unlink()
    with pytest.raises(InvalidModelError, match=data.name) as caught:
        read_artifact(path, work_dir=tmp_path / "work")
    assert caught.value.reason == "external_data_missing"


def test_a_short_external_file_is_refused(tmp_path: Path) -> None:
    path = external_data_model(tmp_path / "m.onnx")
    (data,) = [file for file in tmp_path.iterdir() if file != path]
    data.write_bytes(data.read_bytes()[:10])
    assert _reason(path, work_dir=tmp_path / "work") == "truncated_external_data"


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link"])
def test_external_data_that_leaves_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(1000))
    (folder / "link").symlink_to(tmp_path / "secret")
    path = external_data_model(folder / "m.onnx")
    _set_external(path, "location", location)
    assert _reason(path, work_dir=tmp_path / "work") == "external_data_escapes"


@pytest.mark.parametrize(("key", "value"), [("offset", "-5"), ("length", "9" * 30), ("location", "")])
def test_malformed_external_entries_are_refused(tmp_path: Path, key: str, value: str) -> None:
    path = external_data_model(tmp_path / "m.onnx")
    _set_external(path, key, value)
    assert _reason(path, work_dir=tmp_path / "work") == "malformed_model"


def test_a_file_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = external_data_model(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(b"m.onnx.data", b"m.onn\x80.data", 1))
    assert _reason(path, work_dir=tmp_path / "work") == "malformed_model"


def test_external_data_of_two_gib_in_all_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = external_data_model(tmp_path / "m.onnx")
    (data,) = [file for file in tmp_path.iterdir() if file != path]
    os.truncate(data, 2**31)
    _set_external(path, "offset", "0")
    _set_external(path, "length", str(2**31))
    assert _reason(path, work_dir=tmp_path / "work") == "model_too_large"


def _set_external(path: Path, key: str, value: str) -> None:
    model = onnx.load_model(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        kept = [(entry.key, entry.value) for entry in tensor.external_data if entry.key != key]
        tensor.ClearField("external_data")
        for name, text in [*kept, (key, value)]:
            entry = tensor.external_data.add()
            entry.key, entry.value = name, text
    path.write_bytes(model.SerializeToString())


def _originals() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            make(Path(folder) / "m").read_bytes() for make in (linear_model, tflite_linear_model, external_data_model)
        ]


_ORIGINALS = _originals()


def _read_or_refuse(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(content)
        with contextlib.suppress(InvalidModelError):
            artifact = read_artifact(path, work_dir=Path(folder) / "work")
            assert artifact.signature.inputs


@given(
    original=st.sampled_from(_ORIGINALS),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6),
    kept=st.integers(1, 4000),
)
@settings(max_examples=150, deadline=None)
def test_mutated_models_are_read_or_refused_and_nothing_else(
    original: bytes, changes: list[tuple[int, int]], kept: int
) -> None:
    content = bytearray(original[:kept])
    for place, value in changes:
        content[place % len(content)] = value
    _read_or_refuse(bytes(content))


@given(content=st.binary(max_size=300), identifier=st.booleans())
@settings(max_examples=150, deadline=None)
def test_random_bytes_are_refused_and_nothing_else(content: bytes, identifier: bool) -> None:
    _read_or_refuse(content[:4] + b"TFL3" + content[8:] if identifier else content)

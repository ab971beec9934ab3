"""Every quantizer gets the same samples; what it makes, and what it cannot, is told by its name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from benchmarks.compression import compress_process
from benchmarks.compression.compress_process import QuantizerError
from benchmarks.compression.made_files import Prepared, file_of, launch_in_turn, make_all, prepare
from benchmarks.compression.peers import ONNX, Quantizer
from onnx import TensorProto, helper, numpy_helper

_COPY = (
    "import json, pathlib, shutil, sys\n"
    "asked = json.loads(pathlib.Path(sys.argv[1]).read_text())\n"
    "shutil.copy(asked['model'], asked['out'])\n"
)
_TASK = """
name = "halves"
data = "data.npz"

[evaluation]
inputs = "x"
labels = "y"

[calibration]
inputs = "x_calib"

[metric]
kind = "top1"
"""


def _model(path: Path, *, opset: int) -> Path:
    weight = numpy_helper.from_array(np.eye(4, 2, dtype=np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"], name="product")]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [weight],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """Return a model of an old opset with its samples, prepared for everybody."""
    return _prepared(tmp_path, opset=11)


def _prepared(folder: Path, *, opset: int) -> Prepared:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 4)).astype(np.float32)
    labels = (x[:, 1] > x[:, 0]).astype(np.int64)
    np.savez(folder / "data.npz", x=x[:8], y=labels[:8], x_calib=x[8:])
    (folder / "task.toml").write_text(_TASK)
    return prepare(_model(folder / "net.onnx", opset=opset), folder / "task.toml", folder / "work")


def _quantizer(name: str, program: str) -> Quantizer:
    return Quantizer(name=name, program=program, formats=frozenset({ONNX}))


def test_peers_read_the_samples_that_our_compressor_reads(prepared: Prepared, tmp_path: Path) -> None:
    names = json.loads((prepared.samples / "inputs.json").read_text())
    assert names == ["x"]
    with np.load(tmp_path / "data.npz") as data:
        assert np.array_equal(np.load(prepared.samples / "0.npy"), data["x_calib"])
    assert prepared.calibration_count == 4
    assert prepared.evaluator.answers(prepared.model_path).value() == 1.0


def test_peers_get_a_model_of_an_old_opset_converted_and_a_newer_one_as_it_is(
    prepared: Prepared, tmp_path: Path
) -> None:
    assert onnx.load_model(prepared.peer_model_path).opset_import[0].version == 13
    assert onnx.load_model(prepared.model_path).opset_import[0].version == 11
    newer = tmp_path / "newer"
    newer.mkdir()
    other = _prepared(newer, opset=17)
    assert other.peer_model_path == other.model_path


def test_what_is_made_is_told_by_quantizer_and_so_is_why_nothing_was(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "copy.py").write_text(_COPY)
    (programs / "broken.py").write_text("raise ValueError('no kernel')\n")
    (programs / "garbage.py").write_text(
        _COPY.replace("shutil.copy(asked['model'], asked['out'])", "pathlib.Path(asked['out']).write_text('no model')")
    )
    monkeypatch.setattr(compress_process, "PROGRAMS", programs)
    quantizers = [
        _quantizer("a copy", "copy.py"),
        _quantizer("broken", "broken.py"),
        _quantizer("garbage", "garbage.py"),
    ]
    made = make_all(quantizers, prepared, tmp_path / "files", tmp_path)
    assert made["a copy"]["kernels"] == [0, 1, 0]
    assert made["a copy"]["file_bytes"] == file_of("a copy", prepared, tmp_path / "files").stat().st_size
    assert made["broken"] == {"failed": "ValueError: no kernel"}
    assert made["garbage"]["failed"].startswith("onnxruntime cannot load its file")
    launches = launch_in_turn(quantizers[:1], prepared, tmp_path, launch_count=2)
    assert len(launches["a copy"]["seconds"]) == len(launches["a copy"]["peak_rss_bytes"]) == 2
    with pytest.raises(QuantizerError, match="no kernel"):
        launch_in_turn(quantizers, prepared, tmp_path, launch_count=1)

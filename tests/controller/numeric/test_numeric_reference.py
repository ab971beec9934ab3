"""The controller's own run: a real child process, and every way in which it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from steelyard.numeric.feeds import pack_samples
from steelyard.numeric.messages import ReferenceRequest, parse_answer, parse_request
from steelyard.numeric.outputs import read_outputs
from steelyard.numeric.reference import run_here
from steelyard_protocol.v1 import common_pb2
from tests.support.models import conv_model, endless_model, linear_model
from tests.support.tflite_models import tflite_linear_model

ONNX, TFLITE = common_pb2.ARTIFACT_FORMAT_ONNX, common_pb2.ARTIFACT_FORMAT_TFLITE


def request_for(folder: Path, model: Path, samples: dict[str, np.ndarray], **fields: object) -> ReferenceRequest:
    data = folder / "data.npz"
    data.write_bytes(pack_samples(samples)[0])
    settings = {"layers_path": "", "format": ONNX, "batch_size": 0, **fields}
    return ReferenceRequest(
        model_path=str(model), data_path=str(data), out_path=str(folder / "outputs.npz"), **settings
    )


async def test_a_model_gives_its_outputs_for_every_sample(tmp_path: Path) -> None:
    import onnxruntime

    model = linear_model(tmp_path / "m.onnx")
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    answer = await run_here(request_for(tmp_path, model, {"x": x}))
    assert answer.runtime == f"onnxruntime {onnxruntime.__version__}"
    found = read_outputs((tmp_path / "outputs.npz").read_bytes(), "the controller")
    expected = onnxruntime.InferenceSession(str(model)).run(None, {"x": x})[0]
    np.testing.assert_allclose(found.outputs["logits"], expected, rtol=1e-6)
    assert found.layers == {}


async def test_a_tflite_model_runs_by_litert(tmp_path: Path) -> None:
    model = tflite_linear_model(tmp_path / "m.tflite", features=4, classes=3)
    samples = {"x": np.ones((2, 4), np.float32)}
    answer = await run_here(request_for(tmp_path, model, samples, format=TFLITE))
    assert answer.runtime.startswith("LiteRT ")
    found = read_outputs((tmp_path / "outputs.npz").read_bytes(), "the controller")
    assert [values.shape for values in found.outputs.values()] == [(2, 3)]


async def test_litert_that_is_not_installed_is_named_with_its_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tflite_linear_model(tmp_path / "m.tflite", features=4, classes=3)
    python = tmp_path / "python"
    # An interpreter for which the package is not there.
    hidden = "import sys, runpy; sys.modules['ai_edge_litert'] = None"
    code = f"{hidden}; runpy.run_module('steelyard.numeric', run_name='__main__')"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}"\n')
    python.chmod(0o755)
    request = request_for(tmp_path, model, {"x": np.ones((2, 4), np.float32)}, format=TFLITE)
    answer = await run_here(request, interpreter=str(python))
    assert "LiteRT is not installed beside the controller" in answer.reason
    assert "pip install 'steelyard[litert]'" in answer.reason


async def test_a_model_that_never_ends_is_given_up(tmp_path: Path) -> None:
    model = endless_model(tmp_path / "m.onnx")
    request = request_for(tmp_path, model, {"x": np.ones((1, 4), np.float32)})
    answer = await run_here(request, limit_s=2.0)
    assert "did not end within 2 s" in answer.reason


async def test_a_file_that_is_no_model_is_a_reason(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"no model at all")
    answer = await run_here(request_for(tmp_path, model, {"x": np.ones((1, 4), np.float32)}))
    assert answer.runtime == ""
    assert "cannot load m.onnx" in answer.reason


async def test_data_that_does_not_fit_is_a_reason(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    answer = await run_here(request_for(tmp_path, model, {"image": np.ones((1, 4), np.float32)}))
    assert answer.reason
    assert "\n" not in answer.reason


@pytest.mark.parametrize(("program", "words"), [("kill -9 $$", "ended by SIGKILL"), ("echo why >&2; exit 3", "code 3")])
async def test_a_process_that_dies_is_a_reason(tmp_path: Path, program: str, words: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    request = request_for(tmp_path, tmp_path / "m.onnx", {"x": np.ones((1, 4), np.float32)})
    assert words in (await run_here(request, interpreter=str(python))).reason


async def test_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    import asyncio

    pid_file = tmp_path / "pid"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ > {pid_file}.part; mv {pid_file}.part {pid_file}; exec sleep 600\n")
    python.chmod(0o755)
    request = request_for(tmp_path, tmp_path / "m.onnx", {"x": np.ones((1, 4), np.float32)})
    task = asyncio.create_task(run_here(request, interpreter=str(python)))
    while not pid_file.exists():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_requests_and_answers_travel_as_lines(tmp_path: Path) -> None:
    request = request_for(tmp_path, tmp_path / "m.onnx", {"x": np.ones((1, 4), np.float32)})
    assert parse_request(request.to_line()) == request
    with pytest.raises(ValueError, match="is no answer"):
        parse_answer('{"other": 1}')
    with pytest.raises(ValueError, match="an answer with runtime"):
        parse_answer('{"runtime": "", "reason": ""}')

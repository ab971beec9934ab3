"""Each kind of block, run in this process on real models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from steelyard_agent.worker import block as kinds
from steelyard_agent.worker import timed
from steelyard_agent.worker.block import Block, Timing, WorkerResult
from steelyard_agent.worker.blocks import run_block
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.memory import MemoryLog
from steelyard_agent.worker.opening import open_runtime
from tests.support import models
from tests.support.tflite_models import tflite_linear_model

QUICK = Timing(sample_window_ms=10, warmup_window_ms=2, warmup_cap_ms=40, warmup_tolerance=0.5)


def _run(model_path: Path, kind: str = kinds.KIND_LATENCY, **changes: object) -> WorkerResult:
    settings = {"runtime_name": "onnxruntime", "timing": QUICK, "runtime": {"intra_op_thread_count": 1}} | changes
    phases: list[str] = []
    block = Block(kind=kind, model_path=str(model_path), **settings)
    return run_block(open_runtime(block, phases.append))


def _data(path: Path, **arrays: np.ndarray) -> str:
    np.savez_compressed(path, **{f"{name}.values": values for name, values in arrays.items()})
    return str(path)


def _evaluate(model_path: Path, tmp_path: Path, values: np.ndarray, **changes: object) -> tuple[WorkerResult, dict]:
    output_path = tmp_path / "outputs.npz"
    data = _data(tmp_path / "data.npz", **{changes.pop("input_name", "x"): values})
    result = _run(model_path, kinds.KIND_EVALUATION, data_path=data, output_path=str(output_path), **changes)
    assert sorted(item.name for item in tmp_path.glob("outputs*")) == ["outputs.npz"]
    with np.load(output_path, allow_pickle=False) as outputs:
        return result, {name: outputs[name] for name in outputs}


def test_a_latency_block_keeps_its_phases_apart(tmp_path: Path) -> None:
    result = _run(models.conv_model(tmp_path / "m.onnx"))
    assert len(result.latency_ns) * result.inner_batch_count == result.sample_count >= 10
    assert min(result.latency_ns) > 0
    for name in ("runtime_import_ns", "model_load_ns", "first_inference_ns", "warmup_ns"):
        assert getattr(result, name) > 0, name
    assert result.providers == ("CPUExecutionProvider",)
    assert result.runtime_version == onnxruntime.__version__
    assert result.input_source == "drawn by signature, seed 0"
    assert result.inputs == ({"name": "image", "dtype": "float32", "shape": ["batch", 1, 12, 12]},)
    assert result.window_start_ns is None


def test_memory_is_read_at_every_phase(tmp_path: Path) -> None:
    result = _run(models.linear_model(tmp_path / "m.onnx"))
    assert list(result.memory_phases) == ["imported", "loaded", "first_run", "steady"]
    assert result.memory_phases["steady"]["resident_bytes"] > 0
    assert result.peak_resident_bytes is None or result.peak_resident_bytes > 0
    assert result.peak_source


@pytest.mark.parametrize("kind", [kinds.KIND_LATENCY, kinds.KIND_ENERGY])
def test_memory_is_read_before_samples_take_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    order: list[str] = []

    def noted(owner: object, name: str, word: Callable[..., str]) -> None:
        real = getattr(owner, name)

        def call(*given: object, **named: object) -> object:
            order.append(word(*given))
            return real(*given, **named)

        monkeypatch.setattr(owner, name, call)

    noted(MemoryLog, "read", lambda _log, phase: phase)
    noted(MemoryLog, "peak", lambda _log: "peak")
    noted(timed, "fill_store", lambda *_: "timed")
    noted(timed, "run_window", lambda *_: "timed")
    _run(models.linear_model(tmp_path / "m.onnx"), kind, energy_window_ms=5)
    assert order == ["imported", "loaded", "first_run", "steady", "peak", "timed"]


def test_a_tiny_model_is_timed_in_inner_batches_and_says_so(tmp_path: Path) -> None:
    result = _run(models.linear_model(tmp_path / "m.onnx"))
    said = any(f"mean of {result.inner_batch_count} inferences" in note for note in result.notes)
    assert said == (result.inner_batch_count > 1)


def test_a_warm_up_that_hits_its_cap_is_said(tmp_path: Path) -> None:
    result = _run(
        models.linear_model(tmp_path / "m.onnx"),
        timing=Timing(sample_window_ms=5, warmup_window_ms=2, warmup_cap_ms=1),
    )
    assert result.warmup_steady is False
    assert any("hit its cap of 1 ms" in note for note in result.notes)


def test_inputs_come_from_the_task_where_it_has_some(tmp_path: Path) -> None:
    model = models.linear_model(tmp_path / "m.onnx")
    data = _data(tmp_path / "d.npz", x=np.ones((5, 4), np.float32))
    assert _run(model, data_path=data).input_source == "task data, sample 0"
    assert _run(model, data_path=data, batch_size=3).input_source == "task data, samples 0 to 2"
    with pytest.raises(BlockFailure, match="has 5 samples; 6 from sample 0"):
        _run(model, data_path=data, batch_size=6)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        (np.ones((5, 4)), "takes float32, the data is float64"),
        (np.ones((5, 7), np.float32), "takes shape batchx4, the data has 1x7"),
    ],
)
def test_data_that_does_not_fit_is_a_sentence(tmp_path: Path, values: np.ndarray, part: str) -> None:
    with pytest.raises(BlockFailure, match=part) as caught:
        _run(models.linear_model(tmp_path / "m.onnx"), data_path=_data(tmp_path / "d.npz", x=values))
    assert caught.value.status is BlockStatus.USER_ERROR


def test_dynamic_shapes_need_sizes_and_take_them(tmp_path: Path) -> None:
    model = models.two_dynamic_dims_model(tmp_path / "m.onnx")
    with pytest.raises(BlockFailure, match="--shape image=1x3x224x224"):
        _run(model)
    assert _run(model, runtime={"input_shapes": {"image": [1, 3, 8, 8]}}).sample_count >= 10


def test_tokens_are_drawn_within_the_embedding(tmp_path: Path) -> None:
    model = models.token_model(tmp_path / "m.onnx")
    assert _run(model, runtime={"input_shapes": {"input_ids": [1, 16]}}).sample_count >= 10


def test_inputs_that_the_model_cannot_run_on_are_explained(tmp_path: Path) -> None:
    model = models.token_model(tmp_path / "m.onnx", vocabulary=4)
    ids = np.full((1, 3), 99)
    data = _data(tmp_path / "d.npz", input_ids=ids, attention_mask=np.ones_like(ids))
    with pytest.raises(
        BlockFailure, match=r"cannot run on these inputs: .*indices element out of data bounds"
    ) as caught:
        _run(model, data_path=data)
    assert (caught.value.status, caught.value.reason) == (BlockStatus.USER_ERROR, "inference_failed")


def test_pinned_cores_decide_the_thread_count(tmp_path: Path) -> None:
    result = _run(models.linear_model(tmp_path / "m.onnx"), runtime={}, core_ids=(0,))
    assert "1 intra-op threads, one for each pinned core" in result.notes


def test_unknown_runtime_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BlockFailure, match="no field 'threads'"):
        _run(models.linear_model(tmp_path / "m.onnx"), runtime={"threads": 1})


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlockFailure, match=r"no model file '.*gone\.onnx'"):
        _run(tmp_path / "gone.onnx")


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_accuracy_is_that_of_plain_onnxruntime_to_the_last_sample(tmp_path: Path, batch_size: int) -> None:
    model = models.conv_model(tmp_path / "m.onnx")
    images = np.random.default_rng(0).standard_normal((203, 1, 12, 12)).astype(np.float32)
    result, outputs = _evaluate(model, tmp_path, images, input_name="image", batch_size=batch_size, runtime={})
    session = onnxruntime.InferenceSession(str(model))
    plain = np.concatenate([session.run(None, {"image": image[None]})[0].argmax(-1) for image in images])
    assert np.array_equal(outputs["argmax"], plain)
    assert result.sample_count == 203
    assert result.latency_ns == ()
    assert result.input_source == "task data, samples 0 to 202"


def test_full_outputs_come_back_by_name(tmp_path: Path) -> None:
    model = models.linear_model(tmp_path / "m.onnx")
    values = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    _, outputs = _evaluate(model, tmp_path, values, reducer="full", batch_size=4)
    assert np.array_equal(outputs["logits"], onnxruntime.InferenceSession(str(model)).run(None, {"x": values})[0])


def test_nan_is_counted_and_noted(tmp_path: Path) -> None:
    values = np.array([[1, 2, 3, 4], [-1, -1, -1, -1], [-1, 1, 1, 2]], np.float32)
    result, outputs = _evaluate(models.nan_model(tmp_path / "m.onnx"), tmp_path, values)
    assert outputs["argmax"].tolist() == [3, -1, 3]
    assert "5 of 12 output values are NaN or infinite" in result.notes


def test_a_fixed_batch_is_used_where_it_divides_and_refused_where_it_does_not(tmp_path: Path) -> None:
    model = models.linear_model(tmp_path / "m.onnx", batch=4)
    values = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
    result, outputs = _evaluate(model, tmp_path, values, batch_size=6)
    assert len(outputs["argmax"]) == 12
    assert "evaluated in batches of 4, the model's own, not of 6" in result.notes
    with pytest.raises(BlockFailure, match="batches of exactly 4 and the data set has 10 samples"):
        _evaluate(model, tmp_path, values[:10])


def test_the_only_input_may_be_called_otherwise_in_a_converted_model(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    _, onnx_outputs = _evaluate(models.linear_model(tmp_path / "m.onnx"), tmp_path, values, input_name="renamed")
    _, tflite_outputs = _evaluate(
        tflite_linear_model(tmp_path / "m.tflite", dynamic_batch=True),
        tmp_path,
        values,
        runtime_name="litert",
        batch_size=4,
    )
    assert np.array_equal(onnx_outputs["argmax"], tflite_outputs["argmax"])


def test_an_energy_block_tells_the_edges_of_its_window(tmp_path: Path) -> None:
    result = _run(models.conv_model(tmp_path / "m.onnx"), kinds.KIND_ENERGY, energy_window_ms=20)
    assert result.window_end_ns - result.window_start_ns >= 20_000_000
    assert result.sample_count > 0
    assert result.latency_ns == ()


def test_a_probe_needs_no_model(tmp_path: Path) -> None:
    block = Block(kind=kinds.KIND_PROBE, runtime_name="onnxruntime")
    result = run_block(open_runtime(block, lambda _phase: None))
    reasons = {probe["name"]: probe["reason"] for probe in result.provider_probes}
    assert reasons["CPUExecutionProvider"] == ""
    assert "not in the installed build" in reasons["CoreMLExecutionProvider"]


def test_a_signature_block_loads_and_no_more(tmp_path: Path) -> None:
    result = _run(models.token_model(tmp_path / "m.onnx"), kinds.KIND_SIGNATURE)
    assert [item["name"] for item in result.inputs] == ["input_ids", "attention_mask"]
    assert result.outputs[0]["shape"] == ["batch", 2]
    assert result.first_inference_ns is None

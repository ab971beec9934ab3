"""Every mode of a timed block, run in this process on real models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard_agent.worker import block as kinds
from steelyard_agent.worker import modes, streams
from steelyard_agent.worker.block import Block, Timing, WorkerResult
from steelyard_agent.worker.blocks import run_block
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.opening import open_runtime
from tests.support import models
from tests.support.tflite_models import tflite_accumulator_model, tflite_linear_model

QUICK = Timing(sample_window_ms=20, warmup_window_ms=2, warmup_cap_ms=40, warmup_tolerance=0.5)
LSTM_STATE = {"h": "hn", "c": "cn"}
ALL_MODES = {
    modes.SINGLE_STREAM: Mode(),
    modes.OFFLINE: Mode(name=modes.OFFLINE),
    modes.PACED: Mode(name=modes.PACED, rate_hz=500),
    modes.MULTI_STREAM: Mode(name=modes.MULTI_STREAM, stream_count=2),
    modes.SUSTAINED: Mode(name=modes.SUSTAINED, duration_ms=300, point_ms=100),
    modes.STEPWISE: Mode(name=modes.STEPWISE, step_counts=(1, 4), state_outputs=LSTM_STATE),
}


def _run(
    model_path: Path, mode: Mode = ALL_MODES[modes.SINGLE_STREAM], **changes: Any
) -> tuple[WorkerResult, list[str]]:
    settings = {"runtime_name": "onnxruntime", "timing": QUICK, "runtime": {"intra_op_thread_count": 1}} | changes
    phases: list[str] = []
    block = Block(kind=settings.pop("kind", kinds.KIND_LATENCY), model_path=str(model_path), mode=mode, **settings)
    return run_block(open_runtime(block, phases.append)), phases


def _lstm_data(path: Path, count: int) -> str:
    np.savez_compressed(path, **{"x.values": np.ones((count, 4), np.float32)})
    return str(path)


@pytest.mark.parametrize("name", modes.MODES)
@pytest.mark.parametrize("batch_size", [0, 3])
def test_every_mode_says_its_batch_inputs_window_and_cpu_time(tmp_path: Path, name: str, batch_size: int) -> None:
    result, phases = _run(models.lstm_step_model(tmp_path / "m.onnx"), ALL_MODES[name], batch_size=batch_size)
    assert result.batch_size == (batch_size or 1)
    assert result.input_source.startswith("drawn by signature, seed 0")
    assert result.sample_count > 0
    assert result.window_ns is not None
    assert result.window_ns > 0
    assert result.cpu_ns is not None
    assert result.cpu_ns > 0
    assert result.contention is not None
    assert min(result.latency_ns) > 0
    assert list(result.memory_phases) == ["imported", "loaded", "first_run", "steady"]
    assert phases[:3] == ["imported", "loaded", "first_run"]
    assert phases[-1] == "steady"


@pytest.mark.parametrize("name", [name for name in modes.MODES if name != modes.STEPWISE])
def test_every_mode_takes_the_tasks_data_and_says_so(tmp_path: Path, name: str) -> None:
    data = tmp_path / "d.npz"
    np.savez_compressed(data, **{"x.values": np.ones((5, 4), np.float32)})
    result, _ = _run(models.linear_model(tmp_path / "m.onnx"), ALL_MODES[name], data_path=str(data), batch_size=2)
    assert (result.input_source, result.batch_size) == ("task data, samples 0 to 1", 2)


def test_task_data_feeds_a_sequence_model_beside_its_fresh_state(tmp_path: Path) -> None:
    data = _lstm_data(tmp_path / "d.npz", 3)
    result, _ = _run(models.lstm_step_model(tmp_path / "m.onnx"), ALL_MODES[modes.STEPWISE], data_path=data)
    assert result.input_source == "task data, sample 0; zeros for h, c"


def test_offline_throughput_follows_from_window_count_and_batch(tmp_path: Path) -> None:
    result, _ = _run(models.conv_model(tmp_path / "m.onnx", size=48), ALL_MODES[modes.OFFLINE], batch_size=4)
    assert result.window_ns is not None
    # Back to back: the window holds the inferences and next to nothing else.
    busy_ns = sum(result.latency_ns) * result.inner_batch_count
    assert 0.5 * result.window_ns < busy_ns <= 1.01 * result.window_ns
    assert result.sample_count == len(result.latency_ns) * result.inner_batch_count


@pytest.mark.parametrize("name", [name for name in modes.MODES if name != modes.STEPWISE])
def test_a_model_with_a_fixed_batch_refuses_another(tmp_path: Path, name: str) -> None:
    with pytest.raises(BlockFailure, match="first dimension is fixed, and a batch of 8 was asked for") as caught:
        _run(models.linear_model(tmp_path / "m.onnx", batch=2), ALL_MODES[name], batch_size=8)
    assert (caught.value.status, caught.value.reason) == (BlockStatus.USER_ERROR, "fixed_batch")


def test_a_batch_of_a_model_that_takes_single_numbers_is_refused_since_throughput_would_be_a_multiple(
    tmp_path: Path,
) -> None:
    with pytest.raises(BlockFailure, match="no input of this model has a first dimension") as caught:
        _run(models.scalar_model(tmp_path / "m.onnx"), ALL_MODES[modes.OFFLINE], batch_size=2)
    assert (caught.value.status, caught.value.reason) == (BlockStatus.USER_ERROR, "no_batch")


def test_a_fixed_batch_is_what_runs_when_none_is_asked_for(tmp_path: Path) -> None:
    model = models.linear_model(tmp_path / "m.onnx", batch=2)
    assert _run(model)[0].batch_size == 2
    assert _run(model, batch_size=2)[0].batch_size == 2


def test_a_batch_and_a_shape_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    model = models.two_dynamic_dims_model(tmp_path / "m.onnx")
    shapes = {"input_shapes": {"image": [2, 3, 8, 8]}}
    assert _run(model, runtime=shapes)[0].batch_size == 2
    with pytest.raises(BlockFailure, match="begins with 2 and a batch of 4") as caught:
        _run(model, runtime=shapes, batch_size=4)
    assert caught.value.reason == "two_batches"


@pytest.mark.parametrize("random", [False, True])
def test_a_paced_block_keeps_service_and_response_time_of_every_arrival(tmp_path: Path, random: bool) -> None:
    mode = Mode(name=modes.PACED, rate_hz=400, random_arrivals=random)
    timing = Timing(sample_window_ms=100, warmup_window_ms=2, warmup_cap_ms=10)
    result, _ = _run(models.linear_model(tmp_path / "m.onnx"), mode, timing=timing)
    assert len(result.response_ns) == len(result.latency_ns) == result.sample_count
    assert result.inner_batch_count == 1
    assert all(response >= service for response, service in zip(result.response_ns, result.latency_ns, strict=True))
    assert result.window_ns is not None
    assert result.window_ns >= 100_000_000
    if not random:
        assert result.sample_count + result.missed_count == 40
    assert any("then spun" in note for note in result.notes) or result.missed_count


def test_waiting_for_arrivals_spins_little_of_the_window_away(tmp_path: Path) -> None:
    timing = Timing(sample_window_ms=300, warmup_window_ms=2, warmup_cap_ms=10)
    mode = Mode(name=modes.PACED, rate_hz=20)
    result, _ = _run(models.linear_model(tmp_path / "m.onnx"), mode, timing=timing)
    assert result.sample_count + result.missed_count == timing.min_sample_count
    assert result.window_ns is not None
    assert result.cpu_ns is not None
    assert result.cpu_ns < 0.15 * result.window_ns


def test_energy_is_measured_at_the_rate_of_a_paced_plan(tmp_path: Path) -> None:
    result, _ = _run(
        models.linear_model(tmp_path / "m.onnx"),
        Mode(name=modes.PACED, rate_hz=50),
        kind=kinds.KIND_ENERGY,
        energy_window_ms=200,
    )
    assert result.sample_count <= 10
    assert result.window_start_ns is not None
    assert result.window_end_ns is not None
    assert result.window_end_ns - result.window_start_ns >= 200_000_000


def test_an_energy_window_of_more_arrivals_than_are_kept_is_refused(tmp_path: Path) -> None:
    mode = Mode(name=modes.PACED, rate_hz=90_000)
    with pytest.raises(BlockFailure, match="a window of 20 s at 90000 a second holds more than") as caught:
        _run(models.linear_model(tmp_path / "m.onnx"), mode, kind=kinds.KIND_ENERGY, energy_window_ms=20_000)
    assert caught.value.reason == "too_many_arrivals"


def test_a_runtime_that_keeps_pythons_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "keeps_lock", lambda _call, _estimate_ns: True)
    result, _ = _run(models.linear_model(tmp_path / "m.onnx"), ALL_MODES[modes.MULTI_STREAM])
    assert any("onnxruntime keeps Python's lock while it runs: the 2 streams take turns" in one for one in result.notes)


@pytest.mark.parametrize(
    ("runtime", "write"),
    [("onnxruntime", models.linear_model), ("litert", tflite_linear_model)],
    ids=["onnxruntime", "litert"],
)
def test_streams_run_in_sessions_of_their_own(tmp_path: Path, runtime: str, write: Any) -> None:
    model = write(tmp_path / ("m.onnx" if runtime == "onnxruntime" else "m.tflite"))
    mode = Mode(name=modes.MULTI_STREAM, stream_count=3)
    result, _ = _run(model, mode, runtime_name=runtime, runtime={"intra_op_thread_count": 1})
    assert len(result.latency_ns) >= 3 * QUICK.min_sample_count
    assert result.sample_count == len(result.latency_ns) * result.inner_batch_count
    assert any(note.startswith("3 sessions of the model in one process") for note in result.notes)
    # Both runtimes let go of Python's lock.
    assert not any("Python's lock" in note for note in result.notes)


def test_a_curve_has_its_points_in_order_and_gives_a_sign_after_each(tmp_path: Path) -> None:
    mode = Mode(name=modes.SUSTAINED, duration_ms=600, point_ms=100)
    result, phases = _run(models.linear_model(tmp_path / "m.onnx"), mode)
    offsets = [point.offset_ms for point in result.curve]
    assert len(offsets) >= 3
    assert offsets == sorted(offsets)
    assert phases.count("point") == len(offsets)
    assert sum(point.inference_count for point in result.curve) == result.sample_count
    assert all(point.p90_ns is None or point.p90_ns >= point.p50_ns > 0 for point in result.curve)
    assert len(result.latency_ns) > 0


def test_the_state_is_carried_and_every_sequence_begins_anew(tmp_path: Path) -> None:
    result, _ = _run(
        models.lstm_step_model(tmp_path / "m.onnx"),
        Mode(name=modes.STEPWISE, step_counts=(1, 4, 8), state_outputs=LSTM_STATE),
    )
    assert {len(sequence) for sequence in result.sequences} == {8}
    assert result.latency_ns == tuple(step for sequence in result.sequences for step in sequence)
    assert result.input_source == "drawn by signature, seed 0; zeros for h, c"
    assert any("sequences of 8 steps, each from a state of zeros" in note for note in result.notes)
    assert any("carrying the state takes about" in note for note in result.notes)


@pytest.mark.parametrize("kind", [kinds.KIND_ENERGY, kinds.KIND_PREPARATION])
def test_other_blocks_of_a_step_wise_plan_run_its_first_step(tmp_path: Path, kind: str) -> None:
    mode = Mode(name=modes.STEPWISE, step_counts=(5,), state_outputs={"past": "present"})
    result, _ = _run(models.cache_step_model(tmp_path / "m.onnx"), mode, kind=kind, energy_window_ms=10)
    assert result.input_source == "drawn by signature, seed 0; zeros for past"


def test_a_cache_that_grows_begins_empty_and_is_said_to_grow(tmp_path: Path) -> None:
    result, _ = _run(
        models.cache_step_model(tmp_path / "m.onnx"),
        Mode(name=modes.STEPWISE, step_counts=(5,), state_outputs={"past": "present"}),
        batch_size=2,
    )
    assert {len(sequence) for sequence in result.sequences} == {5}
    assert "state 'past' grew from 2x0x4 to 2x4x4 in the last step" in result.notes


def test_a_state_that_outgrows_its_input_is_refused_in_a_sentence(tmp_path: Path) -> None:
    # OpenVINO is told the shapes when it compiles, and takes no others.
    with pytest.raises(BlockFailure, match="after step 1 output 'present' is 1x3x4 and input 'past' takes") as caught:
        _run(
            models.cache_step_model(tmp_path / "m.onnx"),
            Mode(name=modes.STEPWISE, step_counts=(5,), state_outputs={"past": "present"}),
            runtime_name="openvino",
            runtime={"intra_op_thread_count": 1, "input_shapes": {"x": [1, 4], "past": [1, 2, 4]}},
        )
    assert (caught.value.status, caught.value.reason) == (BlockStatus.USER_ERROR, "state_misfit")


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"hidden": "hn"}, "names the input 'hidden', the model has x, h"),
        ({"h": "out"}, "names the output 'out', the model has hn"),
    ],
)
def test_names_that_the_model_does_not_have_are_refused(tmp_path: Path, state: dict[str, str], sentence: str) -> None:
    mode = Mode(name=modes.STEPWISE, step_counts=(2,), state_outputs=state)
    with pytest.raises(BlockFailure, match=sentence) as caught:
        _run(models.accumulator_model(tmp_path / "m.onnx"), mode)
    assert caught.value.reason == "no_such_state"


def test_litert_carries_a_state_as_well(tmp_path: Path) -> None:
    mode = Mode(name=modes.STEPWISE, step_counts=(1, 6), state_outputs={"h": "hn"})
    result, _ = _run(tflite_accumulator_model(tmp_path / "m.tflite"), mode, runtime_name="litert")
    assert {len(sequence) for sequence in result.sequences} == {6}

"""The main job on an emulated Arm board: a controller here, an agent with Arm wheels there, real gRPC between."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import control_pb2, measurement_pb2, result_pb2
from tests.arm.conftest import Zoo
from tests.arm.emulated_agent import EMULATOR, NAME, EmulatedAgent, emulators
from tests.support import models
from tests.support.processes import wait_for_a_new_one, wait_until

ROUNDS = MeasurementOptions(min_round_count=3, max_round_count=40, sample_window_ms=20)
TIMES = ("p50_latency", "p90_latency", "model_load", "first_inference")
NOT_ITS_OWN = ("peak_memory", "energy")


@pytest.fixture(scope="module", params=["onnx", "tflite"])
def measured(
    request: pytest.FixtureRequest, client: Client, agent: EmulatedAgent, zoo: Zoo
) -> tuple[measurement_pb2.Measurement, str, str]:
    """A float and an int8 model on the emulated board, as (measurement, its job, the same job on this machine)."""
    names = {"onnx": ("onnx float", "onnx static int8"), "tflite": ("tflite float", "tflite int8")}[request.param]
    artifacts = [client.add_model(zoo.models[name], name=name) for name in names]
    task_path = {"onnx": zoo.onnx_task, "tflite": zoo.tflite_task}[request.param]
    task = client.add_task(task_path, artifacts[0])
    options = replace(ROUNDS, requirements=("p90<1s",)) if request.param == "tflite" else ROUNDS
    emulated = client.measure(artifacts, device=NAME, task=task, options=options)
    assert emulated.wait().state == control_pb2.JOB_STATE_RECORDED
    here = client.measure(artifacts, device="local", task=task, options=replace(ROUNDS, max_round_count=3))
    here.wait()
    return emulated.measurement(), emulated.job_id, here.job_id


def answers(client: Client, job_id: str) -> list[NDArray[np.int64]]:
    """Return the class that each model of a job gave each sample."""
    (evaluation,) = (one for one in client.rounds(job_id) if one.pass_kind == result_pb2.PASS_EVALUATION)
    found = []
    for block in evaluation.blocks:
        with np.load(io.BytesIO(client.download(block.outputs_digest)), allow_pickle=False) as arrays:
            found.append(arrays["argmax"])
    return found


def test_the_accuracy_of_the_emulated_board_is_that_of_its_kernels(measured, client: Client, zoo: Zoo) -> None:
    measurement, job_id, here = measured
    for variant, there, expected in zip(
        measurement.variants, answers(client, job_id), answers(client, here), strict=True
    ):
        assert variant.evaluated_count == len(zoo.labels)
        assert variant.correct_count == int((there.reshape(-1) == zoo.labels).sum()) > len(zoo.labels) / 2
        assert variant.accuracy.low < variant.accuracy.value < variant.accuracy.high
        assert int((there != expected).sum()) <= 1, variant.label


def test_no_figure_of_time_memory_or_energy_is_said_of_it(measured) -> None:
    measurement, _, _ = measured
    for variant in measurement.variants:
        for name in (*TIMES, *NOT_ITS_OWN):
            estimate = getattr(variant, name)
            assert not estimate.HasField("value"), name
            assert f"measured under emulation ({EMULATOR})" in estimate.reason
        assert not variant.latency_quantiles_ns
        assert not variant.rounds
        assert not variant.memory.phases
    faster = measurement.variants[1]
    assert not faster.speedup.HasField("value")
    assert faster.comparison == measurement_pb2.COMPARISON_VERDICT_UNDECIDED
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE
    assert EMULATOR in measurement.decision.sentence
    assert any(EMULATOR in warning for warning in measurement.warnings)


def test_it_stops_after_the_fewest_rounds_and_every_sample_is_kept(measured, client: Client) -> None:
    measurement, job_id, _ = measured
    rounds = [one for one in client.rounds(job_id) if one.pass_kind == result_pb2.PASS_LATENCY]
    assert measurement.round_count == len(rounds) == 3
    assert "emulation" in measurement.stop_reason
    for variant in measurement.variants:
        blocks = [block for one in rounds for block in one.blocks if block.label == variant.label]
        assert all(block.status == result_pb2.BLOCK_STATUS_OK for block in blocks)
        assert all(block.latency_ns for block in blocks)
        told = {one.name: one.value for block in blocks for one in block.circumstances}
        assert told["emulated_by"] == EMULATOR
        assert variant.sample_count == sum(len(block.latency_ns) for block in blocks)


def test_a_requirement_on_time_stays_undecided(measured) -> None:
    measurement, _, _ = measured
    for variant in measurement.variants:
        for outcome in variant.requirements:
            assert outcome.verdict == measurement_pb2.REQUIREMENT_VERDICT_UNDECIDED
            assert EMULATOR in outcome.because


def test_the_board_is_listed_as_what_it_is(client: Client, agent: EmulatedAgent) -> None:
    description = client.device(NAME).description
    assert description.emulated_by == EMULATOR
    assert description.architecture == "aarch64"
    assert description.processor == "4x Cortex-A72"
    assert {one.name for one in description.runtimes if one.version} >= {"onnxruntime", "litert"}


def greedy_model(path: Path) -> Path:
    """Write x [1, 4] repeated to 2 GiB: what tests.support.models has grows by products, too slow when emulated."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    shape = onnx.numpy_helper.from_array(np.array([1 << 27, 4], dtype=np.int64), "shape")
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "shape"], ["y"])],
        "greedy",
        [helper.make_tensor_value_info("x", floats, [1, 4])],
        [helper.make_tensor_value_info("y", floats, ["rows", 4])],
        [shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", models.OPSET_VERSION)])
    model.ir_version = models.IR_VERSION
    path.write_bytes(model.SerializeToString())
    return path


def test_models_that_misbehave_cost_their_own_blocks_only(client: Client, agent: EmulatedAgent, tmp_path: Path) -> None:
    made: dict[str, Callable[[Path], Path]] = {
        "good": models.conv_model,
        "endless": models.endless_model,
        "hungry": greedy_model,
    }
    artifacts = [client.add_model(make(tmp_path / f"{name}.onnx"), name=name) for name, make in made.items()]
    options = replace(
        ROUNDS, labels=tuple(made), max_round_count=3, block_timeout_s=6.0, memory_limit_bytes=600 * 1024 * 1024
    )
    handle = client.measure(artifacts, device=NAME, options=options)
    handle.wait()
    good, endless, hungry = handle.measurement().variants
    assert good.sample_count > 0
    assert good.failed_block_count == 0
    assert endless.failure_status == result_pb2.BLOCK_STATUS_TIMEOUT
    assert hungry.failure_status == result_pb2.BLOCK_STATUS_OUT_OF_MEMORY
    wait_until(lambda: not emulators(agent.process.pid))


@pytest.mark.parametrize(
    ("write", "options", "said"),
    [
        (models.no_kernel_model, {}, "MatMul"),
        (models.two_dynamic_dims_model, {}, "--shape"),
        (models.linear_model, {"providers": ("CUDAExecutionProvider",)}, "CUDAExecutionProvider"),
    ],
)
def test_what_the_board_cannot_run_is_one_sentence_that_names_it(
    client: Client,
    agent: EmulatedAgent,
    tmp_path: Path,
    write: Callable[[Path], Path],
    options: dict[str, tuple[str, ...]],
    said: str,
) -> None:
    artifact = client.add_model(write(tmp_path / "refused.onnx"))
    handle = client.measure([artifact], device=NAME, options=replace(ROUNDS, max_round_count=3, **options))
    with pytest.raises(SteelyardError, match=said) as caught:
        handle.wait()
    assert "Traceback" not in str(caught.value)


def test_a_worker_that_is_killed_from_outside_ends_its_block_only(
    client: Client, agent: EmulatedAgent, tmp_path: Path
) -> None:
    artifact = client.add_model(models.linear_model(tmp_path / "linear.onnx"))
    handle = client.measure([artifact], device=NAME, options=replace(ROUNDS, min_round_count=4, max_round_count=4))
    wait_until(lambda: len(list(client.rounds(handle.job_id))) >= 1, timeout_s=60)
    wait_for_a_new_one(lambda: emulators(agent.process.pid)).kill()
    assert handle.wait().state == control_pb2.JOB_STATE_RECORDED
    statuses = [block.status for one in client.rounds(handle.job_id) for block in one.blocks]
    assert statuses.count(result_pb2.BLOCK_STATUS_KILLED_UNKNOWN) == 1
    assert statuses.count(result_pb2.BLOCK_STATUS_OK) >= 3


def test_a_cancelled_job_keeps_its_rounds_and_frees_the_board(
    client: Client, agent: EmulatedAgent, tmp_path: Path
) -> None:
    artifact = client.add_model(models.linear_model(tmp_path / "linear.onnx"))
    options = replace(ROUNDS, min_round_count=40)
    handle = client.measure([artifact], device=NAME, options=options)
    wait_until(lambda: len(list(client.rounds(handle.job_id))) >= 1, timeout_s=60)
    assert handle.cancel().state == control_pb2.JOB_STATE_CANCELLED
    assert list(client.rounds(handle.job_id))
    wait_until(lambda: not emulators(agent.process.pid))
    after = client.measure([artifact], device=NAME, options=replace(ROUNDS, max_round_count=3))
    assert after.wait().state == control_pb2.JOB_STATE_RECORDED


def test_an_agent_that_is_killed_leaves_no_worker_and_resumes_its_job(
    client: Client, agent: EmulatedAgent, tmp_path: Path
) -> None:
    artifact = client.add_model(models.linear_model(tmp_path / "linear.onnx"))
    handle = client.measure([artifact], device=NAME, options=replace(ROUNDS, min_round_count=5, max_round_count=5))
    wait_until(lambda: len(list(client.rounds(handle.job_id))) >= 2, timeout_s=60)
    wait_until(lambda: emulators(agent.process.pid))
    workers = emulators(agent.process.pid)
    agent.kill()
    wait_until(lambda: not any(worker.is_running() for worker in workers))
    agent.start()
    assert handle.wait().state == control_pb2.JOB_STATE_RECORDED
    rounds = [one for one in client.rounds(handle.job_id) if one.pass_kind == result_pb2.PASS_LATENCY]
    assert [one.round_index for one in rounds] == list(range(5))
    assert [one.segment for one in rounds][-1] == 1


def test_the_agent_ends_when_it_is_asked_to_and_leaves_nothing_behind(client: Client, agent: EmulatedAgent) -> None:
    assert agent.end() == 0, agent.log
    assert not emulators()

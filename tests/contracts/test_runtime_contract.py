"""The same tests over every runtime: what the worker relies on in each adapter."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from steelyard_agent.runtimes.lookup import find_runtime
from steelyard_agent.worker.contract import ProviderSpec, Runtime, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.profiled import NoProfileError, load_profiled

# Which runtime is tested in an environment that cannot write models, and where it finds them ready made: see
# test_runtime_contract_elsewhere.py.
READY_RUNTIME, READY_MODELS = "STEELYARD_CONTRACT_RUNTIME", "STEELYARD_CONTRACT_MODELS"


@dataclass(frozen=True)
class Case:
    """One adapter with the files that its tests need."""

    runtime: str
    suffix: str
    linear: Callable[[Path], Path]
    unknown_op: Callable[[Path], Path]
    accumulator: Callable[[Path], Path]
    cpu: str

    def make(self) -> Runtime:
        return find_runtime(self.runtime)


def _ready(name: str) -> Callable[[Path], Path]:
    return lambda path: shutil.copyfile(Path(os.environ[READY_MODELS], name), path)


def _ready_case(runtime: str) -> Case:
    suffix, cpu = {"tflite-runtime": (".tflite", "XNNPACK"), "onnxruntime": (".onnx", "CPUExecutionProvider")}[runtime]
    ready = (_ready(f"{name}{suffix}") for name in ("linear", "unknown_op", "accumulator"))
    return Case(runtime, suffix, *ready, cpu)


def _cases() -> dict[str, Case]:
    if READY_RUNTIME in os.environ:
        return {os.environ[READY_RUNTIME]: _ready_case(os.environ[READY_RUNTIME])}
    from tests.support import models, tflite_models

    onnx = (".onnx", models.linear_model, models.unknown_op_model, models.accumulator_model)
    tflite = (
        ".tflite",
        lambda path: tflite_models.tflite_linear_model(path, dynamic_batch=True),
        tflite_models.tflite_unknown_op_model,
        tflite_models.tflite_accumulator_model,
    )
    return {
        "onnxruntime": Case("onnxruntime", *onnx, "CPUExecutionProvider"),
        "litert": Case("litert", *tflite, "XNNPACK"),
        "openvino-onnx": Case("openvino", *onnx, "CPU"),
        "openvino-tflite": Case("openvino", *tflite, "CPU"),
    }


CASES = _cases()
ONE_THREAD = RuntimeOptions(intra_op_thread_count=1)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def model_path(case: Case, tmp_path: Path) -> Path:
    return case.linear(tmp_path / f"linear{case.suffix}")


def _failure(case: Case, path: Path, options: RuntimeOptions = ONE_THREAD) -> BlockFailure:
    with pytest.raises(BlockFailure) as caught:
        case.make().load(path, options)
    message = str(caught.value)
    assert "\n" not in message
    assert "\x1b" not in message
    assert "Traceback" not in message
    return caught.value


def test_it_says_who_it_is(case: Case) -> None:
    runtime = case.make()
    assert find_runtime(runtime.name).name == runtime.name
    assert case.suffix in runtime.suffixes
    assert runtime.version()[0].isdigit()


def test_a_probe_tells_what_is_usable_and_why_the_rest_is_not(case: Case) -> None:
    probes = {probe.name: probe.reason for probe in case.make().probe()}
    assert probes[case.cpu] == ""
    assert any(probes.values())


def test_the_signature_is_that_of_the_file(case: Case, model_path: Path) -> None:
    model = case.make().load(model_path, ONE_THREAD)
    (given,), (made,) = model.inputs, model.outputs
    assert (given.name, given.dtype, given.shape[1]) == ("x", "float32", 4)
    assert isinstance(given.shape[0], str)
    assert (made.name, made.dtype, made.shape[1]) == ("logits", "float32", 3)
    assert model.providers == (case.cpu,)


def test_a_bound_call_computes_what_numpy_computes(case: Case, model_path: Path) -> None:
    model = case.make().load(model_path, ONE_THREAD)
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((4, 3)).astype(np.float32), rng.standard_normal(3).astype(np.float32)
    for batch_size in (1, 5, 1, 2):
        values = rng.standard_normal((batch_size, 4)).astype(np.float32)
        call = model.bind({"x": values})
        for _ in range(3):
            call()
        assert np.allclose(model.fetch()["logits"], values @ weight + bias, atol=1e-5)


def test_what_one_run_made_can_be_fed_to_the_next(case: Case, tmp_path: Path) -> None:
    """What step-wise blocks rest on: an output stays what it was while it is the input of the next run."""
    model = case.make().load(case.accumulator(tmp_path / f"accumulator{case.suffix}"), ONE_THREAD)
    x = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    state, seen = np.zeros_like(x), []
    for _ in range(6):
        model.bind({"x": x, "h": state})()
        state = model.fetch()["hn"]
        seen.append(state)
    assert np.array_equal(state, 6 * x)
    # The outputs of earlier runs were not written over.
    assert [values[0, 0] for values in seen] == [1, 2, 3, 4, 5, 6]


def test_two_sessions_of_a_model_run_at_the_same_time(case: Case, model_path: Path) -> None:
    """What multi-stream blocks rest on: each session has its own inputs and outputs, in a thread of its own."""
    rng = np.random.default_rng(1)
    feeds = [rng.standard_normal((1, 4)).astype(np.float32) for _ in range(2)]
    runtime = case.make()
    sessions = [runtime.load(model_path, ONE_THREAD) for _ in feeds]
    expected = []
    for session, feed in zip(sessions, feeds, strict=True):
        session.bind({"x": feed})()
        expected.append(session.fetch()["logits"].copy())
    barrier = threading.Barrier(2)

    def stream(index: int) -> None:
        call = sessions[index].bind({"x": feeds[index]})
        barrier.wait()
        for _ in range(500):
            call()

    threads = [threading.Thread(target=stream, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session, logits in zip(sessions, expected, strict=True):
        assert np.array_equal(session.fetch()["logits"], logits)


def test_inputs_that_are_not_contiguous_are_taken(case: Case, model_path: Path) -> None:
    model = case.make().load(model_path, ONE_THREAD)
    values = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32).T
    outputs = []
    for feed in (values, np.ascontiguousarray(values)):
        model.bind({"x": feed})()
        outputs.append(model.fetch()["logits"].copy())
    assert np.array_equal(*outputs)


@pytest.mark.parametrize(
    "feed", [np.zeros((1, 4)), np.zeros((1, 5), np.float32), np.zeros((4,), np.float32)], ids=["dtype", "size", "rank"]
)
def test_arrays_that_do_not_fit_are_a_user_error(case: Case, model_path: Path, feed: np.ndarray) -> None:
    model = case.make().load(model_path, ONE_THREAD)
    with pytest.raises(BlockFailure) as caught:
        model.bind({"x": feed})
    assert caught.value.status is BlockStatus.USER_ERROR


@pytest.mark.parametrize("damage", ["empty", "random", "truncated"])
def test_what_is_no_model_is_said_to_be_none(case: Case, model_path: Path, damage: str) -> None:
    whole = model_path.read_bytes()
    content = {"empty": b"", "random": np.random.default_rng(0).bytes(2000), "truncated": whole[: len(whole) // 2]}
    model_path.write_bytes(content[damage])
    failure = _failure(case, model_path)
    assert failure.status is BlockStatus.INVALID_MODEL
    assert model_path.name in str(failure)


def test_an_op_that_is_not_supported_is_named(case: Case, tmp_path: Path) -> None:
    failure = _failure(case, case.unknown_op(tmp_path / f"odd{case.suffix}"))
    assert (failure.status, failure.reason) == (BlockStatus.UNSUPPORTED, "unsupported_op")
    assert "Frobnicate" in str(failure)


def test_a_provider_that_is_not_there_names_those_that_are(case: Case, model_path: Path) -> None:
    failure = _failure(case, model_path, RuntimeOptions(providers=(ProviderSpec(name="MagicProvider"),)))
    assert (failure.status, failure.reason) == (BlockStatus.UNSUPPORTED, "provider_unavailable")
    assert "MagicProvider" in str(failure)
    assert case.cpu in str(failure)


def test_a_slip_in_the_name_of_a_provider_says_what_was_meant(case: Case, model_path: Path) -> None:
    failure = _failure(case, model_path, RuntimeOptions(providers=(ProviderSpec(name=f"{case.cpu}x"),)))
    assert f"did you mean {case.cpu}?" in str(failure)


def test_a_provider_that_is_asked_for_by_name_is_reported(case: Case, model_path: Path) -> None:
    model = case.make().load(model_path, RuntimeOptions(providers=(ProviderSpec(name=case.cpu),)))
    assert model.providers == (case.cpu,)


def test_case_in_the_name_of_a_provider_does_not_matter(case: Case, model_path: Path) -> None:
    options = RuntimeOptions(providers=(ProviderSpec(name=case.cpu.lower()),))
    assert case.make().load(model_path, options).providers == (case.cpu,)


def test_an_option_that_a_provider_does_not_have_is_a_user_error(case: Case, model_path: Path) -> None:
    spec = ProviderSpec(name=case.cpu, options={"frobnicate_level": "3"})
    failure = _failure(case, model_path, RuntimeOptions(providers=(spec,)))
    assert (failure.status, failure.reason) == (BlockStatus.USER_ERROR, "unknown_option")
    assert "frobnicate_level" in str(failure)


def test_the_nodes_are_counted_for_each_provider_that_runs_some(case: Case, model_path: Path) -> None:
    model = case.make().load(model_path, ONE_THREAD)
    assert tuple(model.placements) == model.providers
    assert all(count is None or count > 0 for count in model.placements.values())


def test_a_file_that_is_named_by_its_digest_is_read(case: Case, model_path: Path) -> None:
    blob = model_path.rename(model_path.with_name("3f" * 32))
    model = case.make().load(blob, ONE_THREAD)
    model.bind({"x": np.ones((1, 4), np.float32)})()
    assert model.fetch()["logits"].shape == (1, 3)


def test_inputs_that_must_not_be_written_are_taken(case: Case, model_path: Path) -> None:
    values = np.ones((1, 4), np.float32)
    values.flags.writeable = False
    model = case.make().load(model_path, ONE_THREAD)
    model.bind({"x": values})()
    assert model.fetch()["logits"].shape == (1, 3)


def test_errors_of_others_are_not_explained(case: Case, model_path: Path) -> None:
    assert case.make().load(model_path, ONE_THREAD).explain(KeyError("x")) is None


def test_a_profile_tells_every_operator_or_why_there_is_none(case: Case, model_path: Path) -> None:
    if case.runtime == "tflite-runtime":
        with pytest.raises(NoProfileError, match="has no profiler"):
            load_profiled(case.make(), model_path, ONE_THREAD)
        return
    model = load_profiled(case.make(), model_path, ONE_THREAD)
    assert model.providers == (case.cpu,)
    values = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    plain = case.make().load(model_path, ONE_THREAD)
    for each in (model, plain):
        each.bind({"x": values})()
    assert np.allclose(model.fetch()["logits"], plain.fetch()["logits"], atol=1e-5)
    call = model.bind({"x": values})
    for _ in range(3):
        call()
    model.begin(4)
    for _ in range(5):
        call()
    summed = model.operators(5)
    assert summed.operators
    assert summed.inference_count in (3, 5)
    for one in summed.operators:
        assert one.name
        assert one.kind
        assert one.provider == case.cpu
        assert one.total_ns >= 0
        assert one.call_count == summed.inference_count


def test_a_model_that_cannot_be_loaded_cannot_be_profiled_either(case: Case, tmp_path: Path) -> None:
    path = tmp_path / f"garbage{case.suffix}"
    path.write_bytes(b"no model at all" * 10)
    with pytest.raises((BlockFailure, NoProfileError)) as caught:
        load_profiled(case.make(), path, ONE_THREAD)
    assert "\n" not in str(caught.value)

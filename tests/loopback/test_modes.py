"""Every mode and the axes through a real controller and a real agent, with short windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.mode_plan import ModeOptions
from steelyard.control.plans import MeasurementOptions
from steelyard.demo.run import assets
from steelyard.errors import UsageError
from steelyard.settings import Settings
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.controller.cli.running import run_command
from tests.docs.documents import command_lines
from tests.loopback.test_demo_path import small_task  # noqa: F401 (a fixture)
from tests.support import models
from tests.support.anywhere import ANYWHERE, ANYWHERE_FLAGS

Write = Callable[..., Path]
STATE = {"h": "hn", "c": "cn"}
QUICK = {"min_round_count": 3, "max_round_count": 3, "sample_window_ms": 30, "gate": ANYWHERE}


def measure(client: Client, path: Path, **options: object) -> measurement_pb2.Measurement:
    handle = client.measure([client.add_model(path)], options=MeasurementOptions(**{**QUICK, **options}))
    handle.wait()
    return handle.measurement()


def test_offline_says_throughput_of_batches(shared_client: Client, model: Write) -> None:
    measurement = measure(shared_client, model("linear_model"), mode=ModeOptions(name="offline"), batch_size=4)
    (only,) = measurement.variants
    assert measurement.primary_figure == "throughput"
    (first, *_) = shared_client.rounds(measurement.job_id)
    (block,) = first.blocks
    assert block.batch_size == 4
    expected = 4 * block.sample_count * 1e9 / block.window_ns
    assert 0.2 * expected < only.throughput.value < 5 * expected
    assert only.throughput.HasField("low")
    assert only.busy_cores.value > 0
    assert "throughput" in measurement.decision.sentence


def test_paced_tells_service_and_response_apart(shared_client: Client, model: Write) -> None:
    mode = ModeOptions(name="paced", rate_hz=200, random_arrivals=True)
    measurement = measure(shared_client, model(), mode=mode, sample_window_ms=200)
    (only,) = measurement.variants
    assert measurement.primary_figure == "response p50"
    assert only.p50_response.value >= only.p50_latency.value
    assert len(only.response_quantiles_ns) == 101
    assert only.missed.unit == "fraction"
    assert "662 samples" in only.p99_response.reason
    assert measurement.plan.mode.random_arrivals


def test_streams_run_side_by_side(shared_client: Client, model: Write) -> None:
    measurement = measure(shared_client, model(), mode=ModeOptions(name="multi-stream", stream_count=2))
    (only,) = measurement.variants
    assert measurement.primary_figure == "throughput"
    assert only.throughput.HasField("value")
    assert only.p50_latency.HasField("value")


def test_a_sustained_curve_comes_back_with_its_points(shared_client: Client, model: Write) -> None:
    mode = ModeOptions(name="sustained", duration_s=0.6, point_s=0.1)
    measurement = measure(shared_client, model(), mode=mode)
    (only,) = measurement.variants
    assert 4 <= len(only.curve) <= 7
    assert [one.offset_ms for one in only.curve] == sorted(one.offset_ms for one in only.curve)
    assert only.curve_slowdown.HasField("low")
    assert any(note.startswith("the last quarter of the curve is") for note in only.notes)


def test_a_sequence_is_timed_at_the_stated_numbers_of_steps(shared_client: Client, model: Write) -> None:
    mode = ModeOptions(name="stepwise", step_counts=(1, 4, 8), state_outputs=STATE)
    measurement = measure(shared_client, model("lstm_step_model"), mode=mode)
    (only,) = measurement.variants
    assert measurement.primary_figure == "8 steps"
    assert [at.step_count for at in only.steps] == [1, 4, 8]
    totals = [at.total.value for at in only.steps]
    assert totals == sorted(totals)
    assert only.first_step.value == pytest.approx(only.steps[0].total.value)


def test_a_state_that_does_not_exist_is_refused_before_anything_runs(shared_client: Client, model: Write) -> None:
    mode = ModeOptions(name="stepwise", step_counts=(1,), state_outputs={"h": "hx"})
    job_count = len(shared_client.jobs())
    with pytest.raises(UsageError, match="has no output 'hx'; it has logits, hn, cn"):
        measure(shared_client, model("lstm_step_model"), mode=mode)
    assert len(shared_client.jobs()) == job_count


def test_axes_are_measured_side_by_side_with_what_they_ask_for(shared_client: Client, model: Write) -> None:
    measurement = measure(
        shared_client, model(), vary={"batch": (1, 4), "spinning": ("on", "off"), "arena": (True, False)}
    )
    labels = [one.label for one in measurement.variants]
    assert labels[0] == "original batch=1 spinning=on arena=on"
    assert len(labels) == 8
    assert all(one.p50_latency.HasField("value") for one in measurement.variants)
    assert [one.is_reference for one in measurement.variants] == [True] + [False] * 7
    rounds = [one for one in shared_client.rounds(measurement.job_id) if one.pass_kind == result_pb2.PASS_LATENCY]
    ran = {block.label: block.batch_size for one in rounds for block in one.blocks}
    assert [ran[label] for label in labels] == [1] * 4 + [4] * 4
    # Every combination in every round, and every second round the other way round.
    assert [block.label for block in rounds[0].blocks] == labels
    assert [block.label for block in rounds[1].blocks] == labels[::-1]


def test_what_the_task_declares_before_and_behind_the_model_is_timed_on_the_device(
    shared_client: Client,
    small_task: Path,  # noqa: F811
) -> None:
    original = shared_client.add_model(assets() / "fashion_mobilenet.onnx")
    task = shared_client.add_task(small_task, original)
    assert (task.stored_dtype, list(task.stored_shape.sizes)) == ("uint8", [28, 28])
    handle = shared_client.measure([original], task=task, options=MeasurementOptions(**QUICK))
    handle.wait()
    (only,) = handle.measurement().variants
    assert only.preprocessing.HasField("low")
    assert only.postprocessing.HasField("low")
    assert 0 < only.postprocessing.value < only.p50_latency.value


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a controller that the commands of the page find."""
    folder = tmp_path_factory.mktemp("page")
    with connect(settings=Settings(state_directory=folder, agent_listen="127.0.0.1:0")):
        yield folder


@pytest.mark.parametrize(
    "words",
    [words[1:] for page, words in command_lines() if page == "docs/modes.md" and words[0] == "steelyard"],
    ids=" ".join,
)
def test_the_examples_of_the_page_run(
    words: list[str], state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models.linear_model(tmp_path / "model.onnx")
    models.lstm_step_model(tmp_path / "lstm.onnx")
    models.token_model(tmp_path / "tokens.onnx")
    quick = ["--local", "--min-rounds", "3", "--max-rounds", "3", "--sample-window", "20ms", *ANYWHERE_FLAGS]
    if "sustained" in words:
        quick += ["--duration", "300ms", "--point", "100ms"]
    if "paced" in words:
        quick += ["--rate", "500"]
    ran = run_command("--state-directory", str(state), *words, *quick)
    assert ran.code == 0, ran.err
    assert "3 rounds" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80

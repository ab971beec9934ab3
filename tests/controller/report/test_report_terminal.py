from __future__ import annotations

import datetime as dt
import io

import pytest
from rich.console import Console, RenderableType

from steelyard.report.terminal import (
    render_artifact,
    render_artifacts,
    render_comparison,
    render_device,
    render_devices,
    render_jobs,
    render_measurement,
)
from steelyard_protocol.v1 import control_pb2
from tests.support import measurements

NOW = dt.datetime.fromtimestamp(measurements.STARTED_S + 200, tz=dt.timezone.utc)


def shown(renderable: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def device(*, online: bool = True) -> control_pb2.Device:
    made = control_pb2.Device(description=measurements.device(), online=online, agent_version="0.1.0", activity="idle")
    made.last_seen.seconds = measurements.STARTED_S
    return made


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", measurements.every_case())
def test_no_line_is_wider_than_the_terminal_and_none_carries_control_codes(name: str, width: int) -> None:
    text = shown(render_measurement(measurements.every_case()[name]), width)

    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["normal", "with_energy", "crowded", "with_failures"])
def test_at_80_columns_no_figure_is_cut(name: str) -> None:
    text = shown(render_measurement(measurements.every_case()[name]))

    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert "MiB" in text


def test_the_decision_is_the_last_thing_said() -> None:
    measurement = measurements.with_failures()

    text = " ".join(shown(render_measurement(measurement)).split())

    assert text.endswith(measurement.decision.sentence)


def test_a_cell_has_two_lines_at_80_columns_and_one_at_120() -> None:
    measurement = measurements.normal()

    assert "1.24 ms (1.23 to 1.25)" not in shown(render_measurement(measurement), 80)
    assert "1.24 ms (1.23 to 1.25)" in shown(render_measurement(measurement), 120)


def test_the_reason_for_missing_energy_is_one_footnote() -> None:
    text = shown(render_measurement(measurements.normal()))

    assert text.count(measurements.NO_SENSOR) == 1
    assert f"[1] {measurements.NO_SENSOR}" in text


def test_a_failed_variant_has_a_line_of_its_own() -> None:
    text = shown(render_measurement(measurements.with_failures()), 200)

    assert "float16 failed, unsupported: onnxruntime has no kernel" in text
    assert "warning: the frequency governor" in text
    assert "note: dynamic-int8: 2 of 15 blocks" in text


def test_every_requirement_is_shown_with_its_verdict() -> None:
    text = shown(render_measurement(measurements.undecided()))

    assert "static-int8 undecided p90<600us: p90 is 610 us (590 to 630)" in text


def test_a_label_that_was_cut_is_spelled_out_once() -> None:
    measurement = measurements.long_labels()

    text = shown(render_measurement(measurement), 200)

    assert text.count(measurement.variants[0].label) == 1


def test_markup_in_texts_of_others_is_shown_and_not_obeyed() -> None:
    text = shown(render_measurement(measurements.hostile()), 200)

    assert "[bold]x[/bold]<b>&" in text
    assert "[red]not red[/red]" in text
    assert "[b]go[/b]" in text


def test_colours_appear_on_a_terminal_that_wants_them() -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard", no_color=False)
    with console.capture() as capture:
        console.print(render_measurement(measurements.normal()))

    assert "\x1b[" in capture.get()


def test_a_comparison_shows_the_verdict_in_words() -> None:
    text = shown(render_comparison(measurements.normal()))

    assert "slower" in text
    assert "against the first" in text


def test_a_comparison_of_things_that_failed_says_so() -> None:
    text = shown(render_comparison(measurements.nothing_measured()), 200)

    assert "static-int8 failed, crashed" in text
    assert "against the first" not in text


def test_a_variant_that_was_not_compared_says_so() -> None:
    measurement = measurements.normal()
    measurement.variants[1].ClearField("comparison")

    assert "not compared" in shown(render_comparison(measurement), 120)


def test_devices_are_listed_with_state_and_age() -> None:
    text = shown(render_devices([device(), device(online=False)], now=NOW), 120)

    assert "idle" in text
    assert "offline" in text
    assert "3 min ago" in text
    assert "onnxruntime 1.32.0" in text


def test_devices_of_one_name_are_told_apart_by_their_ids() -> None:
    one, other = device(), device()
    one.description.device_id, other.description.device_id = "a0ec1f2d-b798-4757", "09611fa3-0c9d-4246"
    text = shown(render_devices([one, other], now=NOW), 80)

    assert "a0ec1f2d " in text
    assert "09611fa3 " in text


def test_without_devices_the_next_step_is_said() -> None:
    assert "steelyard deploy ssh://USER@HOST" in shown(render_devices([], now=NOW), 120)


def test_a_device_shows_what_it_cannot_measure_and_why() -> None:
    text = shown(render_device(device(), now=NOW), 120)

    assert f"package energy: unavailable ({measurements.NO_SENSOR})" in text
    assert "litert: not usable (ai-edge-litert is not installed)" in text
    assert "cpu temperature: 48.2 \N{DEGREE SIGN}C" in text


def test_a_device_that_was_never_seen_says_so() -> None:
    bare = control_pb2.Device()

    assert "never" in shown(render_device(bare, now=NOW))
    assert "never" in shown(render_devices([bare], now=NOW))


@pytest.mark.parametrize(
    ("seconds", "age"), [(5, "5 s ago"), (7300, "2 h ago"), (200_000, "2 d ago"), (-50, "0 s ago")]
)
def test_ages_are_told_in_the_largest_whole_unit(seconds: int, age: str) -> None:
    now = dt.datetime.fromtimestamp(measurements.STARTED_S + seconds, tz=dt.timezone.utc)

    assert age in shown(render_devices([device()], now=now), 120)


def test_jobs_are_listed_with_the_sentence_of_a_failure() -> None:
    job = control_pb2.Job(job_id="job-1", kind=control_pb2.JOB_KIND_MEASUREMENT, state=control_pb2.JOB_STATE_TIMEOUT)
    job.error.message = "pi5 did not connect within 60 s; start its agent"
    job.created_at.seconds = measurements.STARTED_S

    text = shown(render_jobs([job, control_pb2.Job(job_id="job-2")], now=NOW), 120)

    assert "TIMEOUT" in text
    assert "job-1: pi5 did not connect within 60 s" in text


def test_an_empty_list_of_jobs_or_artifacts_is_a_sentence() -> None:
    assert "no job" in shown(render_jobs([], now=NOW))
    assert "no model" in shown(render_artifacts([]))


def test_an_artifact_names_what_it_was_made_from() -> None:
    parent = measurements.artifact()
    variant = measurements.artifact("static-int8", parent=parent)

    assert "fashion-resnet by static-int8" in shown(render_artifacts([variant, parent]), 120)
    assert f"{parent.digest[:12]} by static-int8" in shown(render_artifacts([variant]), 120)


def test_an_artifact_in_full_says_its_signature_and_every_step() -> None:
    parts = render_artifact(measurements.artifact("static-int8", parent=measurements.artifact()))

    text = "".join(shown(part, 160) for part in parts)
    assert "image: float32 [batch, 1, 28, 28]" in text
    assert "(onnxruntime 1.32.0, onnx 1.23.2)" in text
    assert f"500 samples, {'cd' * 32}" in text


def test_an_artifact_in_full_says_what_the_names_of_teachers_stood_for() -> None:
    made = measurements.artifact("distill", parent=measurements.artifact())
    for _ in range(2):
        made.lineage.steps.add(kind="distill").read_models.add(name="big", digest="ef" * 32)
    (part,) = render_artifact(made)
    assert shown(part, 160).count(f"big, {'ef' * 32}") == 1


def test_an_original_in_full_has_no_steps() -> None:
    (part,) = render_artifact(measurements.artifact())

    assert "made from" not in shown(part, 160)

from __future__ import annotations

import datetime as dt

import pytest
from rich.console import Console

from steelyard.report.facts import device_facts
from steelyard.report.html import render_html
from steelyard.report.surroundings import circumstances_text, surroundings_lines, throttling_text
from steelyard.report.terminal import render_comparison, render_measurement
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.support.measurements import normal


def measured(verdict: result_pb2.ThrottleVerdict.ValueType, **throttled: int) -> measurement_pb2.Measurement:
    measurement = normal()
    measurement.throttle.verdict = verdict
    measurement.circumstances.add(name="governor", value="ondemand, then performance")
    measurement.circumstances.add(name="power_mode", reason="nvpmodel is not installed")
    for one in measurement.variants:
        one.throttled_block_count = throttled.get(one.label, 0)
    return measurement


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (result_pb2.THROTTLE_VERDICT_NO, "no"),
        (result_pb2.THROTTLE_VERDICT_UNKNOWN, "could not be ruled out"),
        (result_pb2.THROTTLE_VERDICT_UNSPECIFIED, ""),
    ],
)
def test_a_verdict_is_said_in_words(verdict: result_pb2.ThrottleVerdict.ValueType, text: str) -> None:
    assert throttling_text(measured(verdict)) == text


def test_a_yes_says_in_which_blocks() -> None:
    measurement = measured(result_pb2.THROTTLE_VERDICT_YES, original=1, float16=3)
    assert throttling_text(measurement) == "yes, in 1 block of original, 3 blocks of float16"
    assert throttling_text(measured(result_pb2.THROTTLE_VERDICT_YES)) == "yes, in blocks that no figure rests on"


def test_circumstances_are_said_with_their_values_or_reasons() -> None:
    text = circumstances_text(measured(result_pb2.THROTTLE_VERDICT_NO))
    assert text == "governor ondemand, then performance; power mode not told (nvpmodel is not installed)"


def test_the_facts_of_the_device_hold_both() -> None:
    facts = dict(device_facts(measured(result_pb2.THROTTLE_VERDICT_NO)))
    assert facts["Throttled"] == "no"
    assert facts["Circumstances"].startswith("governor ondemand")


def test_a_measurement_without_either_has_no_such_facts_and_no_line() -> None:
    facts = dict(device_facts(normal()))
    assert "Throttled" not in facts
    assert "Circumstances" not in facts
    assert surroundings_lines(normal()) == []


def test_the_page_shows_the_verdict() -> None:
    at = dt.datetime(2026, 11, 24, tzinfo=dt.timezone.utc)
    page = render_html([measured(result_pb2.THROTTLE_VERDICT_UNKNOWN)], generated_at=at, controller="here")
    assert "<dt>Throttled</dt><dd>could not be ruled out</dd>" in page


@pytest.mark.parametrize("render", [render_measurement, render_comparison])
def test_a_terminal_says_both_in_eighty_columns(render: object) -> None:
    console = Console(width=80, file=None, record=True, quiet=False, color_system=None)
    with console.capture() as captured:
        console.print(render(measured(result_pb2.THROTTLE_VERDICT_NO)))  # type: ignore[operator]
    lines = captured.get().splitlines()
    text = " ".join(" ".join(lines).split())
    assert "governor ondemand, then performance; power mode not told (nvpmodel is not installed); throttled: no" in text
    assert max(map(len, lines)) <= 80

"""From stored traces to the readings of a measurement, and how people see them."""

from __future__ import annotations

import datetime as dt
import io
import re

import pytest
from rich.console import Console

from steelyard.analysis import external_energy
from steelyard.analysis.external_rounds import read_meters
from steelyard.analysis.measurement import build_measurement
from steelyard.meters.contract import MeterFacts, MeterSample, Scope
from steelyard.meters.trace import TraceBuilder
from steelyard.report.html import render_html
from steelyard.report.plain import to_plain
from steelyard.report.terminal import render_comparison, render_measurement
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import digest_of, failed_block, given, latency_rounds, round_of
from tests.controller.meters.planted_traces import Device, S

WALL = "shelly:http://192.168.1.20"
INPUT = "joulescope:001234"
FACTS = {
    WALL: MeterFacts(description="Shelly switch 0 at http://192.168.1.20", scope=Scope.WALL, period_s=0.02),
    INPUT: MeterFacts(description="Joulescope js220/001234", scope=Scope.BOARD_INPUT, period_s=0.02),
}
DEVICES = {"original": Device(), "int8": Device(start_ns=5_030 * S, load_w=6.0)}


def external_readings(label, meters, rounds, traces) -> list[common_pb2.Reading]:
    return external_energy.external_readings(label, read_meters(meters, rounds, traces))


def message(meter: str, *labels: str, factor: float = 1.0, reason: str = "") -> control_pb2.MeterTrace:
    """What a meter said while the blocks of these labels ran, one after the other."""
    builder = TraceBuilder()
    for label in labels:
        trace = DEVICES[label].trace(noise_w=0.1)
        builder.add(
            MeterSample(time_ns=int(at), power_w=factor * float(power))
            for at, power in zip(trace.times_ns, trace.power_w, strict=True)
        )
    heard = []
    for label in labels:
        block = DEVICES[label].heard()
        block.label = label
        heard.append(block)
    return builder.message(meter=meter, facts=FACTS[meter], blocks=heard, reason=reason)


def energy_round(*labels: str, index: int = 0, failed: str = "") -> result_pb2.RoundResult:
    blocks = []
    for label in labels:
        if label == failed:
            blocks.append(failed_block(label, (result_pb2.BLOCK_STATUS_CRASHED, "it fell over")))
            continue
        block = result_pb2.BlockResult(artifact_digest=digest_of(label), label=label, status=result_pb2.BLOCK_STATUS_OK)
        block.energy_window.CopyFrom(DEVICES[label].window(1000))
        blocks.append(block)
    return round_of(result_pb2.PASS_ENERGY, index, blocks)


def test_each_variant_gets_its_own_energy_of_each_meter_with_its_scope() -> None:
    rounds = [energy_round("original", "int8")]
    traces = [message(WALL, "original", "int8", factor=1.2), message(INPUT, "original", "int8")]
    for label, load_w in (("original", 8.0), ("int8", 6.0)):
        wall, wall_off, board, board_off = external_readings(label, [WALL, INPUT], rounds, traces)
        assert wall.value == pytest.approx(1.2 * load_w / 100, rel=0.01)
        assert board.value == pytest.approx(load_w / 100, rel=0.01)
        assert abs(board.value - load_w / 100) <= board_off.value
        assert (wall.scope, board.scope) == (common_pb2.READING_SCOPE_WALL, common_pb2.READING_SCOPE_BOARD_INPUT)
        assert (wall.unit, wall.status) == ("J", common_pb2.READING_STATUS_MEASURED)
        assert wall.source == FACTS[WALL].description
        assert (wall.rate_hz, wall.kind) == (50.0, common_pb2.READING_KIND_SAMPLED)
        assert wall_off.reason.startswith("k = 2")
        assert "aligned by the load marker" in wall.reason


def test_several_energy_rounds_are_averaged() -> None:
    rounds = [energy_round("original", index=0), energy_round("original", index=1)]
    trace = message(INPUT, "original")
    again = trace.blocks.add()
    again.CopyFrom(trace.blocks[0])
    again.round_index = 1
    once, uncertainty = external_readings("original", [INPUT], rounds[:1], [trace])
    twice, narrower = external_readings("original", [INPUT], rounds, [trace])
    assert twice.value == pytest.approx(once.value)
    # What two rounds share, as the meter's steps, is not less for being measured twice.
    assert narrower.value == pytest.approx(uncertainty.value)


def test_an_interrupted_pass_leaves_two_traces_and_the_one_that_fits_is_taken() -> None:
    rounds = [energy_round("original")]
    cut = message(INPUT, "original")
    del cut.step_ns[100:], cut.power_w[101:]
    whole = message(INPUT, "original")
    for traces in ([cut, whole], [whole, cut]):
        assert external_readings("original", [INPUT], rounds, traces)[0].HasField("value")


@pytest.mark.parametrize(
    ("rounds", "traces", "part"),
    [
        ([], [], "the energy pass did not run"),
        ([], [control_pb2.MeterTrace(meter=INPUT, reason="it cannot be reached")], "it cannot be reached"),
        ([energy_round("original")], [], "no trace of this meter was kept"),
        ([energy_round("original", failed="original")], [message(INPUT, "original")], "it fell over"),
        (
            [energy_round("original")],
            [control_pb2.MeterTrace(meter=INPUT, reason="the meter at x cannot be reached")],
            "the meter at x cannot be reached",
        ),
        (
            [energy_round("original")],
            [message(INPUT, "int8", reason="it was away")],
            "the meter was not read while the block ran; it was away",
        ),
        (
            [energy_round("original")],
            [control_pb2.MeterTrace(meter=INPUT, step_ns=[1, 2], power_w=[1.0])],
            "the trace is damaged",
        ),
    ],
)
def test_what_could_not_be_read_says_why(rounds, traces, part: str) -> None:
    (reading,) = external_readings("original", [INPUT], rounds, traces)
    assert reading.status == common_pb2.READING_STATUS_UNAVAILABLE
    assert not reading.HasField("value")
    assert re.search(part, reading.reason), reading.reason


# -- as people see it -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measurement() -> measurement_pb2.Measurement:
    rounds = [*latency_rounds({"original": 2e6, "int8": 1e6}, 6), energy_round("original", "int8")]
    asked = given(["original", "int8"], rounds, meters=[WALL, INPUT])
    traces = [message(WALL, "original", "int8"), control_pb2.MeterTrace(meter=INPUT, reason="nobody at home")]
    from dataclasses import replace

    return build_measurement(replace(asked, traces=traces))


def shown(renderable: object, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("render", [render_measurement, render_comparison])
def test_the_terminal_shows_a_table_a_meter_and_the_reason_of_what_is_missing(measurement, render) -> None:
    text = shown(render(measurement))
    assert max(map(len, text.splitlines())) <= 80
    plain = " ".join(text.split())
    assert "energy at the wall, by Shelly switch 0" in plain
    assert re.search(r"original (79\.9|80\.\d+) mJ (79|80)\.\d+ to 80\.\d+ int8 (59\.9|60\.\d+) mJ", plain)
    assert "nobody at home" in plain
    assert f"energy by {INPUT}" in plain
    assert plain.index("energy at the wall") < plain.index("nobody at home")


def test_the_report_shows_it_with_its_scope_and_says_what_is_missing(measurement) -> None:
    page = render_html([measurement], generated_at=dt.datetime(2026, 11, 1, tzinfo=dt.timezone.utc), controller="c")
    assert "at the wall" in page
    assert f"energy by {INPUT}: nobody at home" in page
    assert "Shelly switch 0 at http://192.168.1.20 (wall)" in page


def test_json_holds_every_reading(measurement) -> None:
    readings = to_plain(measurement)["variants"][0]["external_energy_readings"]
    assert [(one["name"], one["scope"]) for one in readings] == [
        ("energy_per_inference", "WALL"),
        ("energy_per_inference_uncertainty", "WALL"),
        ("energy_per_inference", "UNSPECIFIED"),
    ]
    assert measurement.variants[0].energy.HasField("value") is False


def test_without_a_meter_nothing_is_said_of_any() -> None:
    plain = build_measurement(given(["original", "int8"], latency_rounds({"original": 2e6, "int8": 1e6}, 6)))
    assert not plain.variants[0].external_energy_readings
    assert "energy at the" not in shown(render_measurement(plain))

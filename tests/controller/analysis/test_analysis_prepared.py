"""Models that the device compiles: build, cached load and inference are three results."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from steelyard.analysis.measurement import build_measurement
from steelyard.report.full_table import make_rows
from steelyard.report.gaps import find_gaps, gap_text
from steelyard.report.terminal import render_measurement
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import digest_of, given, latency_rounds, round_of

PAIR = {"original": 2e6, "compiled": 1e6}


def preparation(build_ns: int | None, *, hit: bool = False) -> result_pb2.RoundResult:
    block = result_pb2.BlockResult(
        artifact_digest=digest_of("compiled"),
        label="compiled",
        status=result_pb2.BLOCK_STATUS_OK,
        build_ns=build_ns,
        prepared_cache_hit=hit,
    )
    return round_of(result_pb2.PASS_PREPARATION, 0, [block])


def measured(build_ns: int | None = 850_000_000, *, missed: int = 0) -> measurement_pb2.Measurement:
    rounds = latency_rounds(PAIR, 8)
    for index, one in enumerate(rounds):
        for block in one.blocks:
            if block.label == "compiled":
                block.prepared_cache_hit = index >= missed
    return build_measurement(given(list(PAIR), [preparation(build_ns), *rounds]))


def test_build_cached_load_and_inference_are_three_results() -> None:
    original, compiled = measured().variants
    assert not original.HasField("build_time")
    assert (compiled.build_time.value, compiled.build_time.unit) == (850_000_000, "ns")
    assert not compiled.build_time.HasField("low")
    assert "one build" in compiled.build_time.reason
    assert compiled.prepared
    assert compiled.model_load.value < compiled.build_time.value
    assert compiled.p50_latency.value < compiled.model_load.value


def test_loads_that_compiled_again_are_a_warning_and_not_called_cached() -> None:
    measurement = measured(missed=2)
    assert not measurement.variants[1].prepared
    assert any("compiled: 2 of 8 timed loads compiled the model again" in text for text in measurement.warnings)


def test_a_build_that_nobody_timed_is_unknown_and_not_zero() -> None:
    compiled = measured(build_ns=None).variants[1]
    assert not compiled.build_time.HasField("value")
    assert "no longer knows" in compiled.build_time.reason


def test_reports_show_the_build_beside_the_cached_load() -> None:
    measurement = measured()
    console = Console(file=StringIO(), width=80, color_system=None)
    console.print(render_measurement(measurement))
    text = console.file.getvalue()
    assert "compiled on this device, once" in text
    assert "850 ms" in text
    assert "every time" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "cached; built in 850 ms" in make_rows(measurement)[1].cells[5].details
    assert any("interval of build on the device" in gap_text(gap) for gap in find_gaps(measurement))

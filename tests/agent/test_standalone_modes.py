"""What `steelyard-agent measure` says in each mode, from planted figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard_agent.standalone import measure_file
from steelyard_agent.standalone_modes import ModeFigures, mode_figures
from steelyard_agent.standalone_text import report_lines, report_to_json
from steelyard_agent.worker import modes
from steelyard_agent.worker.block import CurvePoint, Timing, WorkerResult
from steelyard_agent.worker.contract import RuntimeOptions
from steelyard_agent.worker.modes import Mode
from tests.agent.test_standalone import LAUNCH, REPORT
from tests.support import models

S = 1_000_000_000
OFFLINE = ModeFigures(batch_size=8, inference_count=50, window_ns=S, cpu_ns=S // 2)
POINTS = tuple(
    CurvePoint(
        offset_ms=500 + 1000 * index,
        inference_count=100,
        p50_ns=1_000_000 + 10_000 * index,
        p90_ns=2_000_000 if index else None,
        temperature_c=40.0 + index if index else None,
        frequency_hz=1_800_000_000 if index else None,
    )
    for index in range(50)
)


def _text(mode: Mode, *figures: ModeFigures) -> str:
    launches = tuple(replace(LAUNCH, mode_figures=one) for one in figures)
    lines = report_lines(replace(REPORT, mode=mode, launches=launches, notes=()))
    assert max(map(len, lines)) <= 80
    return "\n".join(lines)


def test_offline_says_samples_a_second_and_the_cpu_time_of_a_second() -> None:
    text = _text(Mode(name=modes.OFFLINE), OFFLINE, replace(OFFLINE, inference_count=25))
    assert "throughput       300 (200 to 400) samples a second, batches of 8" in text
    assert "CPU while timed  0.50 cores" in text
    assert "latency p50      1.5 ms" in text


def test_streams_are_counted() -> None:
    one = replace(OFFLINE, batch_size=1, inference_count=5000)
    assert "throughput       5,000 samples a second, 3 streams" in _text(
        Mode(name=modes.MULTI_STREAM, stream_count=3), one
    )


def test_paced_tells_service_from_response_and_what_never_began() -> None:
    mode = Mode(name=modes.PACED, rate_hz=20)
    result = WorkerResult(
        runtime_version="1", response_ns=tuple(range(1_000_000, 101_000_000, 1_000_000)), sample_count=100
    )
    figures = mode_figures(result)
    text = _text(mode, figures)
    assert "service p50      1.5 ms" in text
    assert "response p50     50.5 ms" in text
    assert "response p90     90.6 ms" in text
    assert "arrivals         20 a second, even; all 100 began within the window" in text
    late = _text(mode, replace(figures, missed_count=100, response_p90_ns=None))
    assert "100 of 200 never began within the window" in late
    assert "response p90     not said: fewer than 64 arrivals" in late


def test_arrivals_that_never_began_are_slower_than_all_that_did() -> None:
    def figures(missed_count: int) -> ModeFigures:
        response_ns = tuple(range(1, 101))
        return mode_figures(WorkerResult(runtime_version="1", response_ns=response_ns, missed_count=missed_count))

    assert (figures(0).response_p50_ns, figures(0).response_p90_ns) == (50.5, 91)
    # 10 of 110: the median moves up, the 90th percentile is the slowest that began.
    assert (figures(10).response_p50_ns, figures(10).response_p90_ns) == (55.5, 100)
    assert (figures(50).response_p50_ns, figures(50).response_p90_ns) == (75.5, None)
    assert (figures(100).response_p50_ns, figures(150).response_p50_ns) == (None, None)


def test_a_curve_is_shown_in_few_rows_with_what_is_not_known_left_open() -> None:
    figures = replace(OFFLINE, curve=POINTS)
    text = _text(Mode(name=modes.SUSTAINED, duration_ms=50_000), figures)
    assert "curve                      p50       p90   inferences     Cel     MHz" in text
    assert "  at 0.5 s                1 ms         -          100       -       -" in text
    assert "  at 3.5 s             1.03 ms      2 ms          100    43.0    1800" in text
    assert "every 3th of 50 points" not in text
    assert "one in 3 of 50 points is shown" in text
    assert "last to first    +49.0% in p50" in text


def test_steps_are_stated_at_the_lengths_that_were_asked_for() -> None:
    mode = Mode(name=modes.STEPWISE, step_counts=(1, 2, 4), state_outputs={"h": "hn"})
    figures = replace(OFFLINE, sequences=((4000, 1000, 1000, 2000), (4000, 1000, 1000, 2000), (9000, 9000, 9000, 9000)))
    text = _text(mode, figures)
    assert "step p50         1.5 ms" in text
    assert "first step       4 us" in text
    assert "1 step           4 us, 4 us each" in text
    assert "2 steps          5 us, 2.5 us each" in text
    assert "4 steps          8 us, 2 us each" in text


@pytest.mark.parametrize(
    ("mode", "batch_size"),
    [
        (Mode(name=modes.OFFLINE), 4),
        (Mode(name=modes.PACED, rate_hz=200), 0),
        (Mode(name=modes.MULTI_STREAM, stream_count=2), 0),
        (Mode(name=modes.SUSTAINED, duration_ms=400, point_ms=200), 0),
        (Mode(name=modes.STEPWISE, step_counts=(1, 3), state_outputs={"h": "hn"}), 2),
    ],
    ids=lambda value: value.name if isinstance(value, Mode) else str(value),
)
async def test_every_mode_is_measured_in_a_fresh_process(tmp_path: Path, mode: Mode, batch_size: int) -> None:
    phases: list[str] = []
    report = await measure_file(
        models.accumulator_model(tmp_path / "m.onnx"),
        rounds=1,
        mode=mode,
        batch_size=batch_size,
        block_timeout_s=60,
        timing=Timing(sample_window_ms=10, warmup_window_ms=2, warmup_cap_ms=10),
        options=RuntimeOptions(intra_op_thread_count=1),
        on_phase=phases.append,
    )
    assert phases[0] == "imported"
    figures = report.launches[0].mode_figures
    assert figures is not None
    assert figures.batch_size == (batch_size or 1)
    assert figures.window_ns
    assert max(map(len, report_lines(report))) <= 80
    value = report_to_json(report)
    assert json.loads(json.dumps(value)) == value
    assert value["mode"]["name"] == mode.name

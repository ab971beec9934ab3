"""Operators in the reports: a table of 80 columns, sentences, a chart coloured by provider."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

from steelyard.report.charts.operators import draw_operators, providers_of
from steelyard.report.charts.series import make_series
from steelyard.report.operators import operator_report, operator_sentences, rate_sentences
from steelyard.report.terminal import render_measurement
from steelyard_protocol.v1 import measurement_pb2
from tests.support import measurements


def _measurement() -> measurement_pb2.Measurement:
    measurement = measurements.normal()
    summary = measurement.variants[0].operators
    for index in range(14):
        summary.operators.add(
            name=f"StatefulPartitionedCall/functional_1/conv2d_{index}/BiasAdd",
            kind="Convolution (NHWC, QC8) IGEMM" if index else "Loop",
            provider="CUDAExecutionProvider" if index % 5 else "CPUExecutionProvider",
            mean_ns=1e6 / (index + 1),
            share=0.25 / (index + 1),
        )
    known = summary.operators[1]
    known.mac_count, known.parameter_count, known.byte_count = 5_000_000, 800, 4096
    summary.mac_count, summary.parameter_count, summary.byte_count = 12_502_000, 78_666, 2_613_664
    summary.mac_per_s, summary.device_mac_per_s = 6e9, 24e9
    summary.byte_per_s, summary.device_byte_per_s = 3e9, 2e9
    summary.findings.append("41 % of the time in QuantizeLinear and DequantizeLinear")
    measurement.variants[1].operators.reason = "tflite-runtime's Python package has no profiler"
    measurement.roofline.add(name="memory read", unit="B/s", rate_per_s=2e9, how="1 thread")
    measurement.roofline.add(name="memory copy", unit="B/s", how="10 MiB are too few")
    return measurement


def _shown(renderable: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_table_fits_80_columns_and_says_how_many_there_are() -> None:
    text = _shown(operator_report(_measurement(), top=3))
    assert max(map(len, text.splitlines())) <= 80
    assert "the 3 longest of 14 operators" in text
    assert "--all shows all of them" in text
    assert "CUDA" in text
    assert "CUDAExecutionProvider" not in text
    assert "10.0 G" in text
    everything = _shown(operator_report(_measurement(), top=0))
    assert "14 operators" in everything
    assert "--all" not in everything


def test_a_model_that_beats_the_probe_says_why_that_can_be() -> None:
    measurement = _measurement()
    measurement.variants[0].operators.mac_per_s = 25e9
    text = " ".join(_shown(operator_report(measurement, top=3)).split())
    assert "104 % of the 24.0 GMAC/s that this device reached in its probe; the probe was disturbed, or" in text
    assert "disturbed" not in _shown(operator_report(_measurement(), top=3))


def test_what_is_not_known_is_a_dash_and_never_a_nought() -> None:
    lines = _shown(operator_report(_measurement(), top=2)).splitlines()
    loop = next(line for line in lines if " Loop " in line)
    assert loop.split()[-2:] == ["-", "-"]


def test_sentences_stand_in_the_measurements_own_report() -> None:
    text = " ".join(_shown(render_measurement(_measurement()), 400).split())
    for sentence in (
        "12.5 M multiply-accumulates, 78.7 k parameters",
        "6.00 GMAC/s at p50, 25 % of the 24.0 GMAC/s that this device reached in its probe",
        "layers pass 3.00 GB/s at p50; memory is read at 2.00 GB/s here, so that most of it stays in caches",
        "41 % of the time in QuantizeLinear and DequantizeLinear",
        "operators: tflite-runtime's Python package has no profiler",
        "at most, this device did memory read 2.00 GB/s",
        "memory copy was not probed: 10 MiB are too few",
    ):
        assert sentence in text, sentence


def test_nothing_is_said_where_nobody_asked() -> None:
    measurement = measurements.normal()
    assert operator_sentences(measurement.variants[0]) == []
    assert rate_sentences(measurement) == []
    assert draw_operators(make_series(measurement), name="x", width=600) is None


def test_the_chart_has_a_bar_an_operator_in_the_colour_of_its_provider() -> None:
    series = make_series(_measurement())
    assert providers_of(series) == ["CUDA", "CPU"]
    for width in (640.0, 424.0, 326.0):
        drawn = draw_operators(series, name="x", width=width)
        assert drawn is not None
        assert drawn.count('class="bar"') == 8
        assert "--c:var(--v1)" in drawn
        assert "--c:var(--v2)" in drawn
        assert "CUDA: " in drawn


def test_names_from_devices_are_escaped_in_the_chart() -> None:
    measurement = _measurement()
    measurement.variants[0].operators.operators[0].name = "<script>alert(1)</script>"
    drawn = draw_operators(make_series(measurement), name="x", width=640.0)
    assert "<script>" not in str(drawn)

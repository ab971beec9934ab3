"""What stands beside the verdict and the drop: in the terminal's comparison and in the report's table."""

from __future__ import annotations

import io

from rich.console import Console

from steelyard.report.full_table import make_head, make_rows
from steelyard.report.terminal import render_comparison
from steelyard_protocol.v1 import measurement_pb2
from tests.support import measurements


def compared() -> measurement_pb2.Measurement:
    measurement = measurements.normal()
    measurement.task_id = "0123"
    for variant in measurement.variants[1:]:
        effect = variant.minimum_detectable_effect
        effect.value, effect.unit, effect.confidence = 0.0131, "fraction", 0.99
        effect.reason = "the least change that 13 rounds of this spread show in 80 % of tries"
        variant.mcnemar_p = 0.0312
    return measurement


def shown(measurement: measurement_pb2.Measurement, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(render_comparison(measurement))
    return capture.get()


def test_a_comparison_says_what_it_would_have_shown_and_how_sure_the_drop_is() -> None:
    narrow, wide = (shown(compared(), width) for width in (80, 140))
    for text in (narrow, wide):
        assert "would show 1.3 %" in text
        assert "accuracy, paired by sample" in text
        assert "p = 0.031" in text
    assert max(map(len, narrow.splitlines())) <= 80
    assert "(would show 1.3 %)" in wide


def test_a_comparison_without_these_figures_says_nothing_of_them() -> None:
    text = shown(measurements.normal(), 80)
    assert "would show" not in text
    assert "p = " not in text


def test_the_table_of_the_report_has_both() -> None:
    measurement = compared()
    head = make_head(measurement)
    reference, variant, *_ = make_rows(measurement)
    assert "would show 1.3 %" in variant.cells[head.index("speed-up")].details
    assert "McNemar p = 0.031" in variant.cells[head.index("drop")].details
    assert reference.cells[head.index("drop")].details == ()

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

from rich.console import Console

from steelyard.gate.gate_report import GateReport, LineKind
from steelyard.report.gate.junit import render_gate_junit
from steelyard.report.gate.markdown import render_gate_markdown
from steelyard.report.gate.terminal import render_gate_summary
from tests.controller.gate.gates import line, report


def everything() -> GateReport:
    hashes = {"before": None, "after": None, "ratio": None, "low": None, "high": None}
    return report(
        line(LineKind.FAILED),
        line(LineKind.UNDECIDED, reason="undecided, about 14 more rounds"),
        line(LineKind.NOT_MEASURED, **hashes, reason="pi5 is offline\x1b[2J"),
        line(LineKind.FAILED, condition="output_hash changed", **hashes, text_before="aa" * 32, text_after="bb" * 32),
        line(LineKind.FINE),
        notes=("new.onnx: new in head, with nothing to compare it with",),
    )


def test_the_summary_begins_with_what_failed_and_folds_the_rest() -> None:
    text = render_gate_markdown(everything()).replace("\N{NO-BREAK SPACE}", " ")

    assert text.startswith("## REGRESSED: 2 of 5 conditions failed, 1 undecided, 1 not measured\n")
    assert "| a\\|b | pi5 | p50 \\> +3% | 1.20 ms | 1.26 ms | +5.1 % (99 %: +4.8 % to +5.4 %) | FAILED |" in text
    assert "aaaaaaaaaaaa | bbbbbbbbbbbb | changed | FAILED" in text
    assert text.index("1 fine") > text.index("undecided, about 14 more rounds")
    assert "\x1b" not in text


def test_a_failed_condition_is_a_failure_and_an_open_one_is_skipped() -> None:
    suite = ET.fromstring(render_gate_junit(everything()))[0]

    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "2", "0", "2"]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert (failure.get("message") or "").startswith("p50 > +3%: +5.1")


def test_a_gate_without_a_line_is_no_empty_document() -> None:
    suite = ET.fromstring(render_gate_junit(report(notes=("x",))))[0]

    assert (suite.get("tests"), suite.get("skipped")) == ("1", "1")


def test_the_terminal_fits_eighty_columns() -> None:
    file = io.StringIO()
    Console(file=file, width=80, color_system=None).print(render_gate_summary(everything()))
    text = file.getvalue().replace("\N{NO-BREAK SPACE}", " ")

    assert max(len(one.rstrip()) for one in text.splitlines()) <= 80
    assert text.startswith("REGRESSED 2 of 5 conditions failed")
    assert "FAILED  a|b on pi5, p50 > +3%: 1.20 ms to 1.26 ms, +5.1 %" in text

"""A gate's report as JUnit XML: a failed condition is a failure, an open one is skipped and never passed."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from steelyard.gate.gate_report import GateLine, GateReport, LineKind
from steelyard.report.gate.words import KIND_WORDS, change_words, values_words
from steelyard.report.junit_cases import junit_case, junit_document


def render_gate_junit(report: GateReport) -> str:
    """Return a case for each condition on each model and device."""
    cases = [_case(line) for line in report.lines]
    if not cases:
        cases = [junit_case("gate", "comparison", skipped=report.sentence)]
    return junit_document("steelyard gate", cases)


def _case(line: GateLine) -> ET.Element:
    name, group = f"{line.model} {line.condition}", line.device
    before, after = values_words(line)
    figures = f"{before} before, {after} now, {change_words(line)}" if before and after else ""
    if line.kind is LineKind.FAILED:
        return junit_case(group, name, failure=(f"{line.condition}: {change_words(line)}", f"{figures}\n{line.reason}"))
    if line.kind is LineKind.FINE:
        return junit_case(group, name, output=f"{figures}\n{line.reason}")
    return junit_case(group, name, skipped=f"{KIND_WORDS[line.kind]}: {line.reason}")

"""Reports of gates for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from steelyard.gate.gate_report import GateLine, GateReport, LineKind


def line(kind: LineKind = LineKind.FINE, **changes: Any) -> GateLine:
    made = GateLine(
        model="a|b",
        device="pi5",
        condition="p50 > +3%",
        metric="p50",
        kind=kind,
        reason="p50 +5.1 % over 12 rounds",
        unit="ns",
        before=1.2e6,
        after=1.26e6,
        ratio=1.051,
        low=1.048,
        high=1.054,
        round_count=12,
        job_id="3f9a" * 8,
    )
    return replace(made, **changes)


def report(*lines: GateLine, notes: tuple[str, ...] = (), same_count: int = 0) -> GateReport:
    return GateReport(
        base="main/a.onnx", head="a.onnx", lines=lines, notes=notes, controller="lab", same_count=same_count
    )

from __future__ import annotations

import pytest

from steelyard.gate.gate_report import GateVerdict, LineKind
from tests.controller.gate.gates import line, report


@pytest.mark.parametrize(
    ("kinds", "verdict", "code", "sentence"),
    [
        ([LineKind.FINE, LineKind.FINE], GateVerdict.PASS, 0, "all 2 conditions hold"),
        ([LineKind.FINE, LineKind.FAILED], GateVerdict.REGRESSED, 1, "1 of 2 conditions failed"),
        (
            [LineKind.NOT_MEASURED, LineKind.FAILED],
            GateVerdict.REGRESSED,
            1,
            "1 of 2 conditions failed, 1 not measured",
        ),
        ([LineKind.FINE, LineKind.UNDECIDED], GateVerdict.INCOMPLETE, 3, "1 undecided"),
        ([LineKind.FINE], GateVerdict.PASS, 0, "the condition holds"),
        ([LineKind.FAILED], GateVerdict.REGRESSED, 1, "1 of 1 condition failed"),
        ([LineKind.NOT_MEASURED], GateVerdict.INCOMPLETE, 3, "1 not measured"),
    ],
)
def test_the_verdict_follows_from_the_lines(
    kinds: list[LineKind], verdict: GateVerdict, code: int, sentence: str
) -> None:
    made = report(*map(line, kinds))

    assert (made.verdict, made.exit_code, made.sentence) == (verdict, code, sentence)


def test_a_change_that_touches_no_model_passes_and_says_so() -> None:
    made = report(notes=("a.onnx: the same bytes on both sides",), same_count=1)

    assert (made.verdict, made.sentence) == (GateVerdict.PASS, "no model differs between base and head")


def test_folders_without_a_model_in_common_are_no_pass() -> None:
    made = report(notes=("a.onnx: new in head, with nothing to compare it with",))

    assert (made.verdict, made.exit_code) == (GateVerdict.INCOMPLETE, 3)
    assert made.sentence == "no model is in both base and head"

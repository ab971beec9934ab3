"""The words and figures of a gate, alike in every format."""

from __future__ import annotations

from steelyard.gate.gate_report import GateLine, LineKind
from steelyard.nightly.night_findings import Ratio
from steelyard.report.night.words import ratio_words, value_text

KIND_WORDS = {
    LineKind.FINE: "fine",
    LineKind.FAILED: "FAILED",
    LineKind.UNDECIDED: "undecided",
    LineKind.NOT_MEASURED: "not measured",
}


def change_words(line: GateLine) -> str:
    """Return "+5.1 % (99 %: +4.8 % to +5.4 %)", "" where there is no figure."""
    if line.ratio is None:
        return "changed" if line.text_before != line.text_after else ""
    ratio = Ratio(value=line.ratio, low=line.low, high=line.high, confidence=line.confidence, unit=line.ratio_unit)
    return ratio_words(ratio)


def values_words(line: GateLine) -> tuple[str, str]:
    """Return the values of base and head, "" where they are not known."""
    before, after = (
        "" if value is None and not text else value_text(value, line.unit, text[:12])
        for value, text in ((line.before, line.text_before), (line.after, line.text_after))
    )
    return before, after

"""The first word of a night's report, the sentence behind it, and what the shell hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, EXIT_UNMET
from steelyard.nightly.coverage import is_hole
from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.nightly.night_report import Coverage, DeviceHealth, NightVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class NightEnd:
    """How a night ends."""

    verdict: NightVerdict
    sentence: str
    exit_code: int


def night_end(findings: Sequence[Finding], coverage: Coverage, devices: Sequence[DeviceHealth]) -> NightEnd:
    """Return the verdict of a night.

    A confirmed regression is one whatever else is missing. Without one, a night that left anything open is incomplete:
    cells that were to be measured, changes that no confirmation decided, changes held back because of their device. A
    cell whose turn comes another night leaves nothing open.
    """
    confirmed = sum(one.outcome is Outcome.CONFIRMED for one in findings)
    measured = f"{coverage.measured_count} of {coverage.planned_count} cells were measured"
    if confirmed:
        word = "regression" if confirmed == 1 else "regressions"
        return NightEnd(
            verdict=NightVerdict.REGRESSED, sentence=f"{confirmed} confirmed {word}; {measured}.", exit_code=EXIT_UNMET
        )
    left_open = _left_open(findings, coverage, devices)
    if coverage.measured_count == 0:
        return NightEnd(
            verdict=NightVerdict.INCOMPLETE,
            sentence=f"Nothing was measured: {left_open[0] if left_open else 'the suite has no cell tonight'}.",
            exit_code=EXIT_INCOMPLETE,
        )
    if left_open:
        return NightEnd(
            verdict=NightVerdict.INCOMPLETE,
            sentence=f"No confirmed regression, but {' and '.join(left_open)}; {measured}.",
            exit_code=EXIT_INCOMPLETE,
        )
    return NightEnd(verdict=NightVerdict.PASS, sentence=f"Nothing got worse; {measured}.", exit_code=EXIT_FINE)


def _left_open(findings: Sequence[Finding], coverage: Coverage, devices: Sequence[DeviceHealth]) -> list[str]:
    holes = [gap for gap in coverage.gaps if is_hole(gap)]
    found = []
    if holes:
        codes = ", ".join(dict.fromkeys(gap.code.replace("_", " ") for gap in holes))
        found.append(f"{_count(len(holes), 'cell')} {'was' if len(holes) == 1 else 'were'} not measured ({codes})")
    suspected = sum(one.outcome in {Outcome.SUSPECTED, Outcome.UNDECIDED} for one in findings)
    if suspected:
        found.append(f"{_count(suspected, 'suspected change')} {'is' if suspected == 1 else 'are'} not decided")
    held = sum(device.inhibited_count for device in devices)
    if held:
        found.append(f"{_count(held, 'change')} {'is' if held == 1 else 'are'} held back because of the device")
    return found


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"

"""The words and figures of a night, alike in every format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.nightly.night_findings import Cause, EnvironmentDifference, Finding, Outcome, Ratio
from steelyard.nightly.night_report import DeviceHealth, DeviceState, NightReport, NightVerdict
from steelyard.stats.formatting import format_value

OUTCOME_WORDS = {
    Outcome.STEADY: "steady",
    Outcome.CONFIRMED: "regressed",
    Outcome.SUSPECTED: "suspected",
    Outcome.WATCHED: "watched",
    Outcome.UNDECIDED: "undecided",
    Outcome.NOT_REPRODUCED: "not reproduced",
    Outcome.IMPROVED: "improved",
    Outcome.FIXED: "fixed",
    Outcome.KNOWN: "known",
    Outcome.DEVICE: "held back",
    Outcome.NOT_JUDGED: "not judged",
    Outcome.NOT_MEASURED: "not measured",
}
CAUSE_WORDS = {
    Cause.MODEL: "model",
    Cause.RUNTIME: "runtime",
    Cause.BOARD: "board",
    Cause.ENVIRONMENT: "environment",
    Cause.UNKNOWN: "cause unknown",
}
_STATE_WORDS = {
    DeviceState.MEASURED: "measured",
    DeviceState.PARTLY: "partly measured",
    DeviceState.OFFLINE: "offline",
    DeviceState.DRIFTED: "drifted",
    DeviceState.THROTTLED: "throttled",
    DeviceState.QUARANTINED: "quarantined",
}
# In the order in which one reads them.
MATRIX_ORDER = (
    Outcome.CONFIRMED,
    Outcome.SUSPECTED,
    Outcome.UNDECIDED,
    Outcome.WATCHED,
    Outcome.NOT_REPRODUCED,
    Outcome.DEVICE,
    Outcome.KNOWN,
    Outcome.IMPROVED,
    Outcome.FIXED,
    Outcome.STEADY,
    Outcome.NOT_JUDGED,
    Outcome.NOT_MEASURED,
)
# Spaces that keep a figure and its unit on one line.
_NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingList:
    """One of the report's lists of findings, under its title, in the report's order."""

    title: str
    about: str
    findings: tuple[Finding, ...]


def finding_lists(report: NightReport) -> Iterator[FindingList]:
    """Yield the lists behind the confirmed regressions that hold something."""
    lists = (
        ("Suspected", "Looked worse, and was not confirmed tonight.", report.suspected),
        ("Undecided", "A confirmation ran and did not decide.", report.undecided),
        ("Watched", "Looks worse with nothing changed that is known: no news until it lasts.", report.watched),
        ("Not reproduced", "Looked worse, and was as before when measured again.", report.not_reproduced),
        ("Improvements", "Got better than it was.", report.improved),
        ("Fixed", "Open regressions that are gone.", report.fixed),
        ("Known", "Open regressions that somebody acknowledged: no news.", report.known),
    )
    for title, about, findings in lists:
        if findings:
            yield FindingList(title=title, about=about, findings=findings)


def state_text(device: DeviceHealth) -> str:
    """Return how a device's night went: "measured", "drifted"."""
    if device.state is DeviceState.PARTLY and not device.measured_count:
        return "nothing measured"
    return _STATE_WORDS[device.state]


def series_text(finding: Finding) -> str:
    """Return "keywords p50 on pi5 (onnxruntime)"."""
    series = finding.series
    return f"{series.model} {series.metric} on {series.device} ({series.runtime})"


def value_text(value: float | None, unit: str, text: str = "") -> str:
    """Return a value for people; what is not known says so."""
    if text:
        return text
    if value is None:
        return "not known"
    return format_value(value, unit).replace(" ", _NO_BREAK)


def before_text(finding: Finding) -> str:
    """Return the value before."""
    return value_text(finding.before, finding.unit, finding.text_before)


def after_text(finding: Finding) -> str:
    """Return the value now."""
    return value_text(finding.after, finding.unit, finding.text_after)


def change_text(finding: Finding) -> str:
    """Return "+7.5 %", "-1.2 pp", or "changed" for what has no size."""
    if finding.ratio is not None:
        return _signed(finding.ratio.value, finding.ratio)
    if finding.before is None or finding.after is None or finding.before == 0.0:
        return "changed" if finding.text_after or finding.text_before else "not known"
    if finding.unit == "fraction":
        return f"{(finding.after - finding.before) * 100:+.1f}{_NO_BREAK}pp"
    return _percent(finding.after / finding.before)


def interval_text(finding: Finding) -> str:
    """Return "+6.1 % to +8.9 %", "" without an interval."""
    return "" if finding.ratio is None else _interval(finding.ratio)


def ratio_text(finding: Finding) -> str:
    """Return the change with its interval: "+7.5 % (99 %: +6.1 % to +8.9 %)"."""
    return change_text(finding) if finding.ratio is None else ratio_words(finding.ratio)


def ratio_words(ratio: Ratio) -> str:
    """Return a ratio as a change, with its interval where it has one: "+7.5 % (99 %: +6.1 % to +8.9 %)"."""
    interval = _interval(ratio)
    inside = f" ({ratio.confidence * 100:.4g}{_NO_BREAK}%: {interval})" if interval else ""
    return _signed(ratio.value, ratio) + inside


def since_text(finding: Finding) -> str:
    """Return "night 31 (2026-11-28)", "" where no first bad night is known."""
    if finding.first_bad_night is None:
        return ""
    day = f" ({finding.first_bad_at[:10]})" if finding.first_bad_at else ""
    return f"night {finding.first_bad_night}{day}"


def rounds_text(finding: Finding) -> str:
    """Return how many rounds the confirmation took; without an interval it had nothing beside it."""
    if not finding.round_count:
        return ""
    is_interleaved = finding.ratio is not None and finding.ratio.low is not None
    return f"{finding.round_count} {'interleaved ' * is_interleaved}round{'s' * (finding.round_count != 1)}"


def difference_text(difference: EnvironmentDifference) -> str:
    """Return "runtime_version: 1.19.2 → 1.20.0"."""
    before, after = (one if one is not None else "none" for one in (difference.before, difference.after))
    return f"{difference.name}: {before} \N{RIGHTWARDS ARROW} {after}"


def percent_text(change: float | None) -> str:
    """Return a relative change, "not known" for None."""
    return "not known" if change is None else _percent(1.0 + change)


def time_text(iso: str) -> str:
    """Return "2026-11-28 02:00" of an ISO time; others stay as they are."""
    return iso[:16].replace("T", " ") if len(iso) >= 16 and iso[10:11] == "T" else iso


def false_alarm_text(report: NightReport) -> str:
    """Return the false-alarm rate that this fleet showed, or that it is not known yet."""
    method = report.method
    if method.false_alarm_count is None or not method.quiet_series_night_count:
        return "not known yet"
    return f"{method.false_alarm_count} in {method.quiet_series_night_count:,} series-nights without a change"


def verdict_kind(verdict: NightVerdict) -> str:
    """Return the class of the verdict's colours."""
    return {NightVerdict.PASS: "ship", NightVerdict.REGRESSED: "unmet", NightVerdict.INCOMPLETE: "open"}[verdict]


def _interval(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return ""
    return f"{_signed(ratio.low, ratio)} to {_signed(ratio.high, ratio)}"


def _signed(value: float, ratio: Ratio) -> str:
    return f"{value:+.2f}{_NO_BREAK}pp" if ratio.unit == "pp" else _percent(value)


def _percent(ratio: float) -> str:
    percent = (ratio - 1.0) * 100.0
    return f"{percent:+.0f}{_NO_BREAK}%" if abs(percent) >= 99.95 else f"{percent:+.1f}{_NO_BREAK}%"

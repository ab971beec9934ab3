"""The summary of a night as GitHub-flavoured Markdown: for a CI job's summary, a comment, an e-mail in plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steelyard.nightly.night_findings import CauseGroup, Finding
from steelyard.nightly.night_report import DeviceState, NightReport
from steelyard.report.markdown_text import folded, safe_text, text_table
from steelyard.report.night import words
from steelyard.report.night.gap_groups import gap_groups
from steelyard.report.page import steered

# GitHub cuts a comment at 65,536 characters; what comes last is what can be missed.
LONGEST = 60_000
_MOST_ROWS = 30


def render_markdown(report: NightReport, *, longest: int = LONGEST) -> str:
    """Return the essential of a night, at most ``longest`` characters; what does not fit is said to be left out."""
    parts: list[str] = []
    room = longest - 200
    for part in _parts(report):
        if len(part) > room:
            parts.append("_The rest did not fit here; the HTML report of this night has all of it._\n")
            break
        parts.append(part)
        room -= len(part)
    return steered("\n".join(parts))


def _parts(report: NightReport) -> Iterator[str]:
    header, coverage = report.header, report.coverage
    when = f"night {header.night_number}, {words.time_text(header.started_at)} UTC, exit code {report.exit_code}"
    measured = f"{coverage.measured_count:,} of {coverage.planned_count:,} cells measured"
    yield f"## {report.verdict.value}: {safe_text(report.sentence)}\n"
    yield f"Suite **{safe_text(header.suite)}**, {when}; {measured}.\n"
    yield from _bullets([*report.notes, *(_failed(report))])
    yield from _matrix(report)
    for group in report.regressions:
        yield _group(group)
    for one in words.finding_lists(report):
        yield folded(f"{one.title} ({len(one.findings):,})", _table(one.findings, with_reason=True))
    yield from _environment(report)
    yield folded("Devices", _devices(report))
    if report.coverage.gaps:
        yield folded(f"Not measured ({len(report.coverage.gaps):,})", _gaps(report))
    if report.acknowledgements:
        yield folded("Acknowledged and silenced", _acknowledged(report))
    yield folded("Method", _method(report))


def _failed(report: NightReport) -> list[str]:
    return [
        f"Night {one.night_number} was not reported to {one.channel}: {one.reason}"
        for one in report.failed_notifications
    ]


def _bullets(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield _list(sentences)


def _matrix(report: NightReport) -> Iterator[str]:
    rows = [(row.metric, dict(row.counts)) for row in report.matrix]
    shown = [outcome for outcome in words.MATRIX_ORDER if any(counts.get(outcome) for _, counts in rows)]
    if not shown:
        return
    heads = ["metric", *(words.OUTCOME_WORDS[one] for one in shown)]
    cells = [[metric, *(str(counts.get(one, 0) or "·") for one in shown)] for metric, counts in rows]
    yield text_table(heads, cells, figures=heads[1:])


def _group(group: CauseGroup) -> str:
    title = f"{words.CAUSE_WORDS[group.cause].capitalize()}: {safe_text(group.title)}"
    lines = [f"### {title}\n", f"{safe_text(group.because)}\n"]
    lines += [f"- {safe_text(words.difference_text(one))}" for one in group.differences]
    commands = "\n".join(dict.fromkeys(one.reproduce for one in group.findings[:_MOST_ROWS] if one.reproduce))
    table = _table(group.findings, with_reason=False)
    reproduce = folded("Reproduce", f"```sh\n{commands.replace('```', '')}\n```\n") if commands else ""
    return "\n".join([*lines, "", table, reproduce])


def _table(findings: Sequence[Finding], *, with_reason: bool) -> str:
    heads = ("series", "before", "now", "change", "since", "why" if with_reason else "rounds")
    rows = [
        (
            words.series_text(one),
            words.before_text(one),
            words.after_text(one),
            words.ratio_text(one),
            words.since_text(one),
            one.reason if with_reason else words.rounds_text(one),
        )
        for one in findings[:_MOST_ROWS]
    ]
    return text_table(heads, rows, figures=("before", "now")) + _more(findings)


def _more(found: Sequence[object]) -> str:
    return f"\nand {len(found) - _MOST_ROWS:,} more\n" if len(found) > _MOST_ROWS else ""


def _environment(report: NightReport) -> Iterator[str]:
    changes = report.environment_changes
    if changes:
        lines = [f"{one.device}: {words.difference_text(one.difference)}" for one in changes[:_MOST_ROWS]]
        yield folded(f"Environment changes ({len(changes):,})", _list(lines) + _more(changes))


def _devices(report: NightReport) -> str:
    if not report.devices:
        return "No device took part.\n"
    ordered = sorted(report.devices, key=lambda one: one.state is DeviceState.MEASURED)
    rows = [
        (
            one.device,
            words.STATE_WORDS[one.state],
            f"{one.measured_count} of {one.planned_count}",
            words.percent_text(one.sentinel_change),
            one.sentence,
        )
        for one in ordered[:_MOST_ROWS]
    ]
    heads = ("device", "state", "measured", "sentinel", "why")
    return text_table(heads, rows, figures=("measured", "sentinel")) + _more(ordered)


def _gaps(report: NightReport) -> str:
    groups = gap_groups(report.coverage.gaps)
    lines = [f"{one.device or 'any device'} ({one.count}): {one.what}: {one.reason}" for one in groups[:_MOST_ROWS]]
    return _list(lines) + _more(groups)


def _acknowledged(report: NightReport) -> str:
    known = report.acknowledgements
    lines = [
        f"{one.what}: {one.who}, {one.reason}{', until ' + words.time_text(one.until) if one.until else ''}"
        f"{' (ends soon)' if one.expires_soon else ''}"
        for one in known[:_MOST_ROWS]
    ]
    return _list(lines) + _more(known)


def _method(report: NightReport) -> str:
    method = report.method
    counts = f"{method.hypothesis_count:,} hypotheses, {method.candidate_count:,} candidates"
    lines = [
        f"{counts}, {method.confirmation_count:,} confirmations at {method.confidence * 100:g} %",
        f"false alarms of this fleet: {words.false_alarm_text(report)}",
        *method.sentences,
        *(f"{name} {version}" for name, version in method.versions),
    ]
    return _list(lines)


def _list(lines: Sequence[str]) -> str:
    return "".join(f"- {safe_text(line)}\n" for line in lines)

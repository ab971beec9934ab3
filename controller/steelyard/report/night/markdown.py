"""The summary of a night as GitHub-flavoured Markdown: for a CI job's summary, a comment, an e-mail in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from steelyard.nightly.night_findings import CauseGroup, Finding
from steelyard.nightly.night_report import DeviceState, NightReport
from steelyard.report.night import words
from steelyard.report.night.gap_groups import gap_groups
from steelyard.report.page import steered

# GitHub cuts a comment at 65,536 characters; what comes last is what can be missed.
LONGEST = 60_000
_MOST_ROWS = 30
# What Markdown, or a table in it, would take for its own; names come from files and devices.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@])")


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
    yield f"## {report.verdict.value}: {_safe(report.sentence)}\n"
    yield f"Suite **{_safe(header.suite)}**, {when}; {measured}.\n"
    yield from _bullets([*report.notes, *(_failed(report))])
    yield from _matrix(report)
    for group in report.regressions:
        yield _group(group)
    for one in words.finding_lists(report):
        yield _folded(f"{one.title} ({len(one.findings):,})", _table(one.findings, with_reason=True))
    yield from _environment(report)
    yield _folded("Devices", _devices(report))
    if report.coverage.gaps:
        yield _folded(f"Not measured ({len(report.coverage.gaps):,})", _gaps(report))
    if report.acknowledgements:
        yield _folded("Acknowledged and silenced", _acknowledged(report))
    yield _folded("Method", _method(report))


def _failed(report: NightReport) -> list[str]:
    return [
        f"Night {one.night_number} was not reported to {one.channel}: {one.reason}"
        for one in report.failed_notifications
    ]


def _bullets(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield "".join(f"- {_safe(one)}\n" for one in sentences)


def _matrix(report: NightReport) -> Iterator[str]:
    rows = [(row.metric, dict(row.counts)) for row in report.matrix]
    shown = [outcome for outcome in words.MATRIX_ORDER if any(counts.get(outcome) for _, counts in rows)]
    if not shown:
        return
    lines = [_line("metric", *(words.OUTCOME_WORDS[one] for one in shown)), _line("---", *("--:" for _ in shown))]
    lines += [_line(_safe(metric), *(str(counts.get(one, 0) or "·") for one in shown)) for metric, counts in rows]
    yield "\n".join(lines) + "\n"


def _group(group: CauseGroup) -> str:
    lines = [f"### {words.CAUSE_WORDS[group.cause].capitalize()}: {_safe(group.title)}\n", f"{_safe(group.because)}\n"]
    lines += [f"- {_safe(words.difference_text(one))}" for one in group.differences]
    commands = "\n".join(dict.fromkeys(one.reproduce for one in group.findings[:_MOST_ROWS] if one.reproduce))
    table = _table(group.findings, with_reason=False)
    reproduce = _folded("Reproduce", f"```sh\n{commands.replace('```', '')}\n```\n") if commands else ""
    return "\n".join([*lines, "", table, reproduce])


def _table(findings: Sequence[Finding], *, with_reason: bool) -> str:
    heads = ("series", "before", "now", "change", "since", *(("why",) if with_reason else ("rounds",)))
    lines = [_line(*heads), _line("---", "--:", "--:", "---", "---", "---")]
    for one in findings[:_MOST_ROWS]:
        last = one.reason if with_reason else words.rounds_text(one)
        cells = (words.before_text(one), words.after_text(one), words.ratio_text(one), words.since_text(one), last)
        lines.append(_line(_safe(words.series_text(one)), *map(_safe, cells)))
    if len(findings) > _MOST_ROWS:
        lines.append(f"\nand {len(findings) - _MOST_ROWS:,} more")
    return "\n".join(lines) + "\n"


def _environment(report: NightReport) -> Iterator[str]:
    if report.environment_changes:
        lines = [
            f"- {_safe(one.device)}: {_safe(words.difference_text(one.difference))}"
            for one in report.environment_changes[:_MOST_ROWS]
        ]
        yield _folded(f"Environment changes ({len(report.environment_changes):,})", "\n".join(lines) + "\n")


def _devices(report: NightReport) -> str:
    if not report.devices:
        return "No device took part.\n"
    ordered = sorted(report.devices, key=lambda one: one.state is DeviceState.MEASURED)
    lines = [_line("device", "state", "measured", "sentinel", "why"), _line("---", "---", "--:", "--:", "---")]
    lines += [
        _line(
            _safe(one.device),
            words.STATE_WORDS[one.state],
            f"{one.measured_count} of {one.planned_count}",
            words.percent_text(one.sentinel_change),
            _safe(one.sentence),
        )
        for one in ordered[:_MOST_ROWS]
    ]
    more = f"\nand {len(ordered) - _MOST_ROWS:,} more\n" if len(ordered) > _MOST_ROWS else ""
    return "\n".join(lines) + "\n" + more


def _gaps(report: NightReport) -> str:
    groups = gap_groups(report.coverage.gaps)
    lines = [
        f"- {_safe(one.device or 'any device')} ({one.count}): {_safe(one.what)}: {_safe(one.reason)}" for one in groups
    ]
    more = [f"- and {len(lines) - _MOST_ROWS:,} more groups"] if len(lines) > _MOST_ROWS else []
    return "\n".join([*lines[:_MOST_ROWS], *more]) + "\n"


def _acknowledged(report: NightReport) -> str:
    return "".join(
        f"- {_safe(one.what)}: {_safe(one.who)}, {_safe(one.reason)}"
        f"{', until ' + words.time_text(one.until) if one.until else ''}{' (ends soon)' if one.expires_soon else ''}\n"
        for one in report.acknowledgements[:_MOST_ROWS]
    )


def _method(report: NightReport) -> str:
    method = report.method
    counts = f"{method.hypothesis_count:,} hypotheses, {method.candidate_count:,} candidates"
    lines = [
        f"- {counts}, {method.confirmation_count:,} confirmations at {method.confidence * 100:g} %",
        f"- false alarms of this fleet: {words.false_alarm_text(report)}",
        *(f"- {_safe(one)}" for one in method.sentences),
        *(f"- {_safe(name)} {_safe(version)}" for name, version in method.versions),
    ]
    return "\n".join(lines) + "\n"


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{_safe(title)}</summary>\n\n{body}\n</details>\n"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _safe(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split(" "))).replace("\n", " ").replace("\r", " ")

"""The page of a night: one HTML file, readable with scripts off, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from markupsafe import Markup

from steelyard.nightly.night_findings import CauseGroup, Finding, Outcome
from steelyard.nightly.night_report import DeviceHealth, DeviceState, NightReport
from steelyard.report.night import words
from steelyard.report.night.gap_groups import GapGroup, gap_groups
from steelyard.report.night.sparkline import draw_sparkline
from steelyard.report.page import render_page

# A page of thousands of rows is not read, and a phone does not open it; the JSON holds all.
MOST_ROWS = 200
# Lists longer than this start folded.
_LONG_LIST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One finding as the template shows it."""

    finding: Finding
    before: str
    after: str
    change: str
    interval: str
    rounds: str
    since: str
    sparkline: Markup
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Findings under a title; ``left_out`` is how many more there are."""

    title: str
    about: str
    kind: str
    rows: tuple[_Row, ...]
    total: int
    left_out: int
    is_folded: bool
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    health: DeviceHealth
    state: str
    kind: str
    change: str
    moved: str


def render_night(report: NightReport) -> str:
    """Return the document of a night as one HTML file."""
    numbers = count(1)
    return render_page(
        "night.html.j2",
        styles=("report.css", "night.css"),
        report=report,
        words=words,
        kind=words.verdict_kind(report.verdict),
        tiles=_tiles(report),
        matrix=_matrix(report),
        groups=[_group(group, numbers) for group in report.regressions],
        lists=[
            _table(one.title, one.about, one.findings, numbers, is_long=len(one.findings) > _LONG_LIST)
            for one in words.finding_lists(report)
        ],
        changes=report.environment_changes[:MOST_ROWS],
        devices=[_device(one) for one in report.devices],
        gaps=_gaps(report),
        most_rows=MOST_ROWS,
    )


def _tiles(report: NightReport) -> list[tuple[str, str, str]]:
    confirmed = sum(len(group.findings) for group in report.regressions)
    coverage = report.coverage
    share = f"{coverage.measured_count / coverage.planned_count:.0%} of the cells" if coverage.planned_count else ""
    silent = sum(one.state is DeviceState.OFFLINE for one in report.devices)
    minutes = [one.device_minutes for one in report.devices if one.device_minutes is not None]
    return [
        ("confirmed regressions", f"{confirmed:,}", _causes(report)),
        ("improved, fixed", f"{len(report.improved)}, {len(report.fixed)}", ""),
        ("measured", f"{coverage.measured_count:,} of {coverage.planned_count:,}", share),
        ("devices", f"{len(report.devices) - silent} of {len(report.devices)}", f"{silent} offline" if silent else ""),
        ("device time", f"{sum(minutes):,.0f} min" if minutes else "not known", ""),
    ]


def _causes(report: NightReport) -> str:
    number = len(report.regressions)
    return f"{number} likely cause{'s' * (number != 1)}" if number else ""


def _matrix(report: NightReport) -> tuple[list[Outcome], list[tuple[str, list[int]]]]:
    counts = [(row.metric, dict(row.counts)) for row in report.matrix]
    shown = [outcome for outcome in words.MATRIX_ORDER if any(row.get(outcome) for _, row in counts)]
    return shown, [(metric, [row.get(outcome, 0) for outcome in shown]) for metric, row in counts]


def _group(group: CauseGroup, numbers: Iterator[int]) -> _Table:
    shared = {words.difference_text(one) for one in group.differences}
    table = _table(group.title, group.because, group.findings, numbers, is_long=False, shared=shared)
    return _Table(
        title=table.title,
        about=table.about,
        kind=words.CAUSE_WORDS[group.cause],
        rows=table.rows,
        total=table.total,
        left_out=table.left_out,
        is_folded=False,
        differences=tuple(words.difference_text(one) for one in group.differences),
    )


def _table(
    title: str,
    about: str,
    findings: Sequence[Finding],
    numbers: Iterator[int],
    *,
    is_long: bool,
    shared: set[str] | None = None,
) -> _Table:
    return _Table(
        title=title,
        about=about,
        kind="",
        rows=tuple(_row(one, numbers, shared or set()) for one in findings[:MOST_ROWS]),
        total=len(findings),
        left_out=max(0, len(findings) - MOST_ROWS),
        is_folded=is_long,
    )


def _row(finding: Finding, numbers: Iterator[int], shared: set[str]) -> _Row:
    differences = (words.difference_text(one) for one in finding.environment)
    return _Row(
        finding=finding,
        before=words.before_text(finding),
        after=words.after_text(finding),
        change=words.change_text(finding),
        interval=words.interval_text(finding),
        rounds=words.rounds_text(finding),
        since=words.since_text(finding),
        sparkline=draw_sparkline(finding, name=f"s{next(numbers)}"),
        differences=tuple(one for one in differences if one not in shared),
    )


def _device(health: DeviceHealth) -> _Device:
    kinds = {
        DeviceState.MEASURED: "ship",
        DeviceState.PARTLY: "open",
        DeviceState.OFFLINE: "open",
        DeviceState.DRIFTED: "unmet",
        DeviceState.THROTTLED: "unmet",
        DeviceState.QUARANTINED: "unmet",
    }
    return _Device(
        health=health,
        state=words.STATE_WORDS[health.state],
        kind=kinds[health.state],
        change=words.percent_text(health.sentinel_change),
        moved=words.percent_text(health.sentinel_moved),
    )


def _gaps(report: NightReport) -> tuple[GapGroup, ...]:
    return gap_groups(report.coverage.gaps)

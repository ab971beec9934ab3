"""The end of a night on a terminal of 80 columns: renderables for rich; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from steelyard.nightly.night_findings import CauseGroup, Finding
from steelyard.nightly.night_report import DeviceState, NightReport, NightVerdict
from steelyard.report.night import words
from steelyard.report.night.gap_groups import gap_groups

_MOST = 8
_STYLES = {NightVerdict.PASS: "bold green", NightVerdict.REGRESSED: "bold red", NightVerdict.INCOMPLETE: "bold yellow"}


def render_night_summary(report: NightReport) -> RenderableType:
    """Return what one wants to know first: verdict, regressions by cause, ill devices, gaps."""
    return Group(*_parts(report))


def _parts(report: NightReport) -> Iterator[RenderableType]:
    header = report.header
    yield Text.assemble((report.verdict.value, _STYLES[report.verdict]), " ", report.sentence)
    yield Text(
        f"{header.suite}, night {header.night_number}: {report.coverage.measured_count:,} of"
        f" {report.coverage.planned_count:,} cells measured; exit code {report.exit_code}",
        style="dim",
    )
    yield from (Text(f"! {note}", style="yellow") for note in report.notes)
    for group in report.regressions:
        yield Text()
        yield from _group(group)
    for one in words.finding_lists(report):
        yield Text()
        yield Text(f"{one.title} ({len(one.findings):,})", style="bold")
        yield from _findings(one.findings, with_reason=True)
    yield from _devices(report)
    yield from _gaps(report)
    for failed in report.failed_notifications:
        yield Text(
            f"! night {failed.night_number} was not reported to {failed.channel}: {failed.reason}", style="yellow"
        )


def _group(group: CauseGroup) -> Iterator[RenderableType]:
    yield Text.assemble((f"{words.CAUSE_WORDS[group.cause].capitalize()}: ", "bold red"), (group.title, "bold"))
    yield _indented(group.because)
    yield from _findings(group.findings, with_reason=False)


def _findings(findings: Sequence[Finding], *, with_reason: bool) -> Iterator[RenderableType]:
    for one in findings[:_MOST]:
        yield _indented(f"{words.series_text(one)}: {words.before_text(one)} to {words.after_text(one)}", style="bold")
        yield _indented(words.ratio_text(one) + (f", {words.rounds_text(one)}" if one.round_count else ""), by=4)
        if with_reason:
            yield _indented(one.reason, by=4, style="dim")
        elif one.reproduce:
            yield _indented(one.reproduce, by=4, style="dim")
    if len(findings) > _MOST:
        yield _indented(f"and {len(findings) - _MOST:,} more")


def _devices(report: NightReport) -> Iterator[RenderableType]:
    notable = [one for one in report.devices if one.state is not DeviceState.MEASURED or one.inhibited_count]
    if not notable:
        return
    yield Text()
    yield Text("Devices", style="bold")
    for one in notable[:_MOST]:
        yield _indented(f"{one.device}: {words.STATE_WORDS[one.state]}. {one.sentence}")
    if len(notable) > _MOST:
        yield _indented(f"and {len(notable) - _MOST:,} more")


def _gaps(report: NightReport) -> Iterator[RenderableType]:
    groups = gap_groups(report.coverage.gaps)
    if not groups:
        return
    yield Text()
    yield Text("Not measured", style="bold")
    for one in groups[:_MOST]:
        yield _indented(f"{one.device or 'any device'}, {one.count}: {one.what}: {one.reason}")
    if len(groups) > _MOST:
        yield _indented(f"and {len(groups) - _MOST:,} more reasons")


def _indented(text: str, *, by: int = 2, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, by))

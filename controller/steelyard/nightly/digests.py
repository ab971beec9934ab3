"""The digest of a night that notifications send: the verdict, what regressed, what else one wants to know."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.nightly.night_report import DeviceState, NightReport
from steelyard.notify.digest import Digest
from steelyard.report.night import words
from steelyard.report.night.markdown import render_markdown

_MOST_SERIES = 10
# A device that is as it should be is no line of a digest.
_WELL = frozenset({DeviceState.MEASURED})


def digest_of(report: NightReport, *, url: str = "") -> Digest:
    """Return what is sent of a night; ``url`` is where its report is, "" where it is nowhere."""
    header = report.header
    return Digest(
        key=f"nightly/{header.suite}",
        number=header.night_number,
        title=f"{report.verdict.value}: {header.suite}, night {header.night_number}",
        verdict=report.verdict.value,
        lines=tuple(_lines(report)),
        markdown=render_markdown(report),
        url=url,
    )


def _lines(report: NightReport) -> Iterator[str]:
    yield report.sentence
    for group in report.regressions:
        yield f"{words.CAUSE_WORDS[group.cause].capitalize()}: {group.title} ({group.because})"
        for one in group.findings[:_MOST_SERIES]:
            figures = f"{words.before_text(one)} to {words.after_text(one)}"
            yield f"  {words.series_text(one)}: {figures}, {words.ratio_text(one)}"
        if len(group.findings) > _MOST_SERIES:
            yield f"  and {len(group.findings) - _MOST_SERIES} more series"
    for listed in words.finding_lists(report):
        yield f"{listed.title}: {len(listed.findings)}"
    for device in report.devices:
        if device.state not in _WELL:
            yield f"{device.device} {words.STATE_WORDS[device.state]}: {device.sentence}"
    yield from report.notes

"""The digest of a night that notifications send: the verdict, what regressed, what else one wants to know."""

from __future__ import annotations

import re
from collections.abc import Iterator

from steelyard.nightly.night_report import DeviceState, NightReport
from steelyard.notify.digest import Digest
from steelyard.report.night import words
from steelyard.report.night.markdown import render_markdown

# A digest, not a flood: whoever wants more opens the report.
_MOST_GROUPS = 8
_MOST_SERIES = 4
_MOST_DEVICES = 6
# A device that is as it should be is no line of a digest.
_WELL = frozenset({DeviceState.MEASURED})


def digest_of(report: NightReport, *, url: str = "") -> Digest:
    """Return what is sent of a night; ``url`` is where its report is, "" where it is nowhere."""
    header = report.header
    return Digest(
        # Digests refuse two dashes in a row, which would end a comment of HTML.
        key=f"nightly/{re.sub('-{2,}', '-', header.suite)}",
        number=header.night_number,
        title=f"{report.verdict.value}: {header.suite}, night {header.night_number}",
        verdict=report.verdict.value,
        lines=tuple(_one_line(line) for line in _lines(report)),
        markdown=render_markdown(report),
        url=url,
    )


def _lines(report: NightReport) -> Iterator[str]:
    coverage = report.coverage
    yield report.sentence
    yield f"{coverage.measured_count:,} of {coverage.planned_count:,} cells measured, exit code {report.exit_code}"
    yield from report.notes
    yield from _groups(report)
    for listed in words.finding_lists(report):
        yield f"{listed.title}: {len(listed.findings):,}"
    yield from _devices(report)
    for failed in report.failed_notifications:
        yield f"Night {failed.night_number} did not reach {failed.channel}: {failed.reason}"


def _groups(report: NightReport) -> Iterator[str]:
    for group in report.regressions[:_MOST_GROUPS]:
        yield f"{words.CAUSE_WORDS[group.cause].capitalize()}: {group.title} ({group.because})"
        for one in group.findings[:_MOST_SERIES]:
            since = words.since_text(one)
            figures = f"{words.before_text(one)} to {words.after_text(one)}, {words.ratio_text(one)}"
            yield f"- {words.series_text(one)}: {figures}{f', since {since}' if since else ''}"
        if len(group.findings) > _MOST_SERIES:
            yield f"- and {len(group.findings) - _MOST_SERIES:,} more series"
    if len(report.regressions) > _MOST_GROUPS:
        yield f"And {len(report.regressions) - _MOST_GROUPS:,} more groups of regressions"


def _devices(report: NightReport) -> Iterator[str]:
    ill = [one for one in report.devices if one.state not in _WELL]
    for device in ill[:_MOST_DEVICES]:
        yield f"{device.device} {words.STATE_WORDS[device.state]}: {device.sentence}"
    if len(ill) > _MOST_DEVICES:
        yield f"And {len(ill) - _MOST_DEVICES:,} more devices that are not as they should be"


def _one_line(text: str) -> str:
    """Return a line as one: chats make nothing of spaces that keep a figure and its unit together."""
    return " ".join(text.split())

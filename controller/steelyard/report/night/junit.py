"""A night as JUnit XML for CI: a regression is a failure, what was not measured is skipped, and never a pass."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.nightly.night_report import DeviceState, NightReport
from steelyard.report.junit_cases import junit_case, junit_document
from steelyard.report.night import words


def render_junit(report: NightReport) -> str:
    """Return the night as one test suite.

    Findings and gaps are cases of their own, named by their series; steady series are one case a metric, which says
    how many they are. A device that drifted, was throttled or is quarantined is an error: infrastructure, and no
    regression.
    """
    cases = [*_regressions(report), *_others(report), *_gaps(report), *_devices(report), *_steady(report)]
    if not report.coverage.measured_count:
        cases.append(junit_case("night", "coverage", error=("nothing_measured", report.sentence)))
    header = report.header
    name = f"{header.suite} night {header.night_number}"
    return junit_document(name, cases, timestamp=header.started_at.removesuffix("Z"))


def _regressions(report: NightReport) -> Iterator[ET.Element]:
    for group in report.regressions:
        for finding in group.findings:
            lines = [_figures(finding), finding.reason, f"{words.CAUSE_WORDS[group.cause]}: {group.because}"]
            lines += [finding.limits, finding.reproduce]
            text = "\n".join(line for line in lines if line)
            yield junit_case(*_names(finding), failure=(f"regressed {words.ratio_text(finding)}", text))


def _others(report: NightReport) -> Iterator[ET.Element]:
    for one in words.finding_lists(report):
        for finding in one.findings:
            note = f"{words.OUTCOME_WORDS[finding.outcome]}: {_figures(finding)}. {finding.reason}"
            if finding.outcome in {Outcome.SUSPECTED, Outcome.UNDECIDED}:
                # Neither good nor bad: a tool that counts passes must not count these.
                yield junit_case(*_names(finding), skipped=note)
            else:
                yield junit_case(*_names(finding), output=note)


def _gaps(report: NightReport) -> Iterator[ET.Element]:
    for gap in report.coverage.gaps:
        name = f"{gap.model or 'every model'} {gap.metric or 'every metric'}"
        yield junit_case(
            f"{gap.device or 'any device'}.{gap.runtime or 'any runtime'}", name, skipped=f"{gap.code}: {gap.reason}"
        )


def _devices(report: NightReport) -> Iterator[ET.Element]:
    ill = {DeviceState.DRIFTED, DeviceState.THROTTLED, DeviceState.QUARANTINED}
    for device in report.devices:
        error = (words.STATE_WORDS[device.state], device.sentence) if device.state in ill else None
        skipped = device.sentence if device.state is DeviceState.OFFLINE else ""
        output = "" if error or skipped else device.sentence
        yield junit_case(device.device, "device", error=error, skipped=skipped, output=output)


def _steady(report: NightReport) -> Iterator[ET.Element]:
    for row in report.matrix:
        steady = dict(row.counts).get(Outcome.STEADY, 0)
        if steady:
            yield junit_case("steady", row.metric, output=f"{steady:,} series of {row.metric} are steady")
        young = dict(row.counts).get(Outcome.NOT_JUDGED, 0)
        if young:
            skipped = f"{young:,} series of {row.metric} have too few nights to be judged"
            yield junit_case("not judged", row.metric, skipped=skipped)


def _names(finding: Finding) -> tuple[str, str]:
    series = finding.series
    return f"{series.device}.{series.runtime}", f"{series.model} {series.metric}"


def _figures(finding: Finding) -> str:
    since = words.since_text(finding)
    return (
        f"{words.before_text(finding)} before, {words.after_text(finding)} now, {words.ratio_text(finding)}"
        f"{', since ' + since if since else ''}"
    )

"""A night as JUnit XML for CI: a regression is a failure, what was not measured is skipped, and never a pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.nightly.night_report import DeviceState, NightReport
from steelyard.report.night import words

# What XML 1.0 has no place for (section 2.2 of the standard).
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: NightReport) -> str:
    """Return the night as one test suite.

    Findings and gaps are cases of their own, named by their series; steady series are one case a metric, which says
    how many they are. A device that drifted, was throttled or is quarantined is an error: infrastructure, and no
    regression.
    """
    cases = [*_regressions(report), *_others(report), *_gaps(report), *_devices(report), *_steady(report)]
    if not report.coverage.measured_count:
        cases.append(_case("night", "coverage", error=("nothing_measured", report.sentence)))
    suite = ET.Element(
        "testsuite",
        {
            "name": _clean(f"{report.header.suite} night {report.header.night_number}"),
            "tests": str(len(cases)),
            "failures": str(sum(case.find("failure") is not None for case in cases)),
            "errors": str(sum(case.find("error") is not None for case in cases)),
            "skipped": str(sum(case.find("skipped") is not None for case in cases)),
            "timestamp": _clean(report.header.started_at.removesuffix("Z")),
        },
    )
    suite.extend(cases)
    root = ET.Element("testsuites", {"name": "steelyard"})
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _regressions(report: NightReport) -> Iterator[ET.Element]:
    for group in report.regressions:
        for finding in group.findings:
            lines = [_figures(finding), finding.reason, f"{words.CAUSE_WORDS[group.cause]}: {group.because}"]
            lines += [finding.limits, finding.reproduce]
            text = "\n".join(line for line in lines if line)
            yield _case(*_names(finding), failure=(f"regressed {words.ratio_text(finding)}", text))


def _others(report: NightReport) -> Iterator[ET.Element]:
    for one in words.finding_lists(report):
        for finding in one.findings:
            note = f"{words.OUTCOME_WORDS[finding.outcome]}: {_figures(finding)}. {finding.reason}"
            if finding.outcome in {Outcome.SUSPECTED, Outcome.UNDECIDED}:
                # Neither good nor bad: a tool that counts passes must not count these.
                yield _case(*_names(finding), skipped=note)
            else:
                yield _case(*_names(finding), output=note)


def _gaps(report: NightReport) -> Iterator[ET.Element]:
    for gap in report.coverage.gaps:
        name = f"{gap.model or 'every model'} {gap.metric or 'every metric'}"
        yield _case(
            f"{gap.device or 'any device'}.{gap.runtime or 'any runtime'}", name, skipped=f"{gap.code}: {gap.reason}"
        )


def _devices(report: NightReport) -> Iterator[ET.Element]:
    ill = {DeviceState.DRIFTED, DeviceState.THROTTLED, DeviceState.QUARANTINED}
    for device in report.devices:
        error = (words.STATE_WORDS[device.state], device.sentence) if device.state in ill else None
        skipped = device.sentence if device.state is DeviceState.OFFLINE else ""
        output = "" if error or skipped else device.sentence
        yield _case(device.device, "device", error=error, skipped=skipped, output=output)


def _steady(report: NightReport) -> Iterator[ET.Element]:
    for row in report.matrix:
        steady = dict(row.counts).get(Outcome.STEADY, 0)
        if steady:
            yield _case("steady", row.metric, output=f"{steady:,} series of {row.metric} are steady")


def _names(finding: Finding) -> tuple[str, str]:
    series = finding.series
    return f"{series.device}.{series.runtime}", f"{series.model} {series.metric}"


def _figures(finding: Finding) -> str:
    since = words.since_text(finding)
    return (
        f"{words.before_text(finding)} before, {words.after_text(finding)} now, {words.ratio_text(finding)}"
        f"{', since ' + since if since else ''}"
    )


def _case(
    group: str,
    name: str,
    *,
    failure: tuple[str, str] | None = None,
    error: tuple[str, str] | None = None,
    skipped: str = "",
    output: str = "",
) -> ET.Element:
    case = ET.Element("testcase", {"classname": _clean(group), "name": _clean(name)})
    for tag, found in (("failure", failure), ("error", error)):
        if found is not None:
            ET.SubElement(case, tag, {"message": _clean(found[0])}).text = _clean(found[1])
    if skipped:
        ET.SubElement(case, "skipped", {"message": _clean(skipped)})
    if output:
        ET.SubElement(case, "system-out").text = _clean(output)
    return case


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)

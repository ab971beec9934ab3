"""The document of a night out of all that the night recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from steelyard import __version__
from steelyard.nightly.coverage import coverage_of
from steelyard.nightly.device_judgement import DeviceJudgement, judge_device_night
from steelyard.nightly.device_lines import device_lines
from steelyard.nightly.environment_changes import environment_changes
from steelyard.nightly.findings import findings_of
from steelyard.nightly.grouping import attributed
from steelyard.nightly.histories import SeriesFacts
from steelyard.nightly.night_facts import NightFacts
from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.nightly.night_report import (
    Coverage,
    FailedNotification,
    MatrixRow,
    Method,
    NightHeader,
    NightReport,
)
from steelyard.nightly.oddities import oddities
from steelyard.nightly.verdicts import night_end
from steelyard.series.judgements import DeviceVerdictKind, NoCandidateCode
from steelyard.series.metric_rules import METRIC_RULES
from steelyard.stats.comparison import DEFAULT_CONFIDENCE
from steelyard.triage.alert import Alert, AlertSubject
from steelyard.triage.attention import kept_quiet
from steelyard.triage.instants import instant_text
from steelyard.triage.nights import next_alerts, with_causes
from steelyard.triage.tonight import DevicesTonight, DeviceTrouble, NightStamp

_QUIET = {NoCandidateCode.STEADY: Outcome.STEADY, NoCandidateCode.NOT_MEASURED: Outcome.NOT_MEASURED}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltNight:
    """A night's document, and its alerts as they are then."""

    report: NightReport
    alerts: tuple[Alert, ...]


def build_night(facts: NightFacts, *, when: Callable[[int], str]) -> BuiltNight:
    """Return what a night says.

    Args:
        facts: All that it recorded.
        when: The time (UTC, ISO 8601) at which a night of the suite began, by its number; "" where it is not known.
    """
    suite = facts.running.suite
    judgements = judge_all(facts)
    found = _found(facts, judgements, when)
    # A board that is itself the cause inhibits the alerts of its models, as a sentinel that moved does.
    worse = [one for one in found if one.outcome is Outcome.CONFIRMED]
    devices = _devices_tonight(facts, judgements, attributed(facts, judgements, worse).troubles)
    triaged = next_alerts(
        facts.alerts,
        found,
        steady=_steady(facts, judgements),
        devices=devices,
        silences=tuple(facts.silences),
        night=NightStamp(suite=suite.name, number=facts.number, now=facts.now),
    )
    findings = triaged.findings
    groups = attributed(facts, judgements, _with(findings, Outcome.CONFIRMED)).groups
    coverage, lines = coverage_of(facts), device_lines(facts, judgements, findings, devices.troubles)
    alerts = with_causes(triaged.alerts, groups)
    end = night_end(findings, coverage, lines)
    report = NightReport(
        header=_header(facts),
        verdict=end.verdict,
        sentence=end.sentence,
        exit_code=end.exit_code,
        matrix=_matrix(judgements, findings, coverage),
        regressions=groups,
        suspected=_with(findings, Outcome.SUSPECTED),
        undecided=_with(findings, Outcome.UNDECIDED),
        not_reproduced=_with(findings, Outcome.NOT_REPRODUCED),
        improved=_with(findings, Outcome.IMPROVED),
        fixed=_with(findings, Outcome.FIXED),
        known=_with(findings, Outcome.KNOWN),
        environment_changes=environment_changes(facts),
        devices=lines,
        coverage=coverage,
        acknowledgements=kept_quiet(alerts, facts.silences, facts.now),
        failed_notifications=tuple(
            FailedNotification(channel=channel, night_number=facts.number - 1, reason=reason)
            for channel, reason in facts.failed_before.items()
        ),
        method=_method(facts, judgements, findings),
        notes=tuple(oddities(facts)),
    )
    return BuiltNight(report=report, alerts=alerts)


def _found(facts: NightFacts, judgements: Mapping[str, DeviceJudgement], when: Callable[[int], str]) -> list[Finding]:
    return [
        finding
        for device_id, judgement in judgements.items()
        for finding in findings_of(
            judgement,
            facts.running.suite.metrics,
            facts.confirmations,
            facts.environments,
            night=facts.number,
            when=when,
            device=facts.device_name(device_id),
        )
    ]


def judge_all(facts: NightFacts) -> dict[str, DeviceJudgement]:
    """Judge every device that the night measured anything on, by its id."""
    of_device: dict[str, list[SeriesFacts]] = {}
    for one in facts.series:
        of_device.setdefault(one.key.device_id, []).append(one)
    return {
        device.device_id: judge_device_night(
            device.device_id,
            of_device[device.device_id],
            facts.running.suite.metrics,
            night=facts.number,
            environments=facts.environments,
            alerts=facts.alerts,
        )
        for device in facts.devices
        if any(one.history.last_night == facts.number for one in of_device.get(device.device_id, ()))
    }


def _steady(facts: NightFacts, judgements: Mapping[str, DeviceJudgement]) -> list[AlertSubject]:
    return [
        AlertSubject(
            suite=key.suite,
            device_id=key.device_id,
            device=facts.device_name(key.device_id),
            model=key.model,
            runtime=key.runtime,
            metric=key.metric,
        )
        for judgement in judgements.values()
        for key, quiet in judgement.quiet.items()
        if quiet.code is NoCandidateCode.STEADY
    ]


def _devices_tonight(
    facts: NightFacts, judgements: Mapping[str, DeviceJudgement], boards: Sequence[DeviceTrouble]
) -> DevicesTonight:
    names = {device.device_id: device.name for device in facts.devices}
    troubles = {
        device_id: DeviceTrouble(device_id=device_id, device=names[device_id], sentence=one.verdict.reason)
        for device_id, one in judgements.items()
        if one.verdict.holds_back
    }
    troubles |= {one.device_id: one for one in boards if one.device_id not in troubles}
    steady = {device_id for device_id, one in judgements.items() if one.verdict.kind is DeviceVerdictKind.STEADY}
    return DevicesTonight(troubles=tuple(troubles.values()), steady_ids=frozenset(steady))


def _header(facts: NightFacts) -> NightHeader:
    night = facts.running.night
    return NightHeader(
        suite=night.suite_name,
        suite_digest=night.suite_digest,
        night_id=night.night_id,
        night_number=night.night_number,
        started_at=night.started_at.ToJsonString(),
        ended_at=instant_text(facts.now),
        controller=facts.controller,
        steelyard_version=__version__,
    )


def _with(findings: Sequence[Finding], outcome: Outcome) -> tuple[Finding, ...]:
    return tuple(one for one in findings if one.outcome is outcome)


def _matrix(
    judgements: Mapping[str, DeviceJudgement], findings: Sequence[Finding], coverage: Coverage
) -> tuple[MatrixRow, ...]:
    counts: dict[str, Counter[Outcome]] = {}
    for metric, outcome in _outcomes(judgements, findings, coverage):
        counts.setdefault(metric, Counter())[outcome] += 1
    order = list(METRIC_RULES)
    return tuple(
        MatrixRow(metric=metric, counts=tuple((one, counts[metric][one]) for one in Outcome if counts[metric][one]))
        for metric in sorted(counts, key=lambda one: (order.index(one) if one in order else len(order), one))
    )


def _outcomes(
    judgements: Mapping[str, DeviceJudgement], findings: Sequence[Finding], coverage: Coverage
) -> Iterator[tuple[str, Outcome]]:
    told = {_place(one.series.model, one.series.device_id, one.series.runtime, one.series.metric) for one in findings}
    for one in findings:
        yield one.series.metric, one.outcome
    for judgement in judgements.values():
        for key in judgement.facts:
            if _place(key.model, key.device_id, key.runtime, key.metric) in told:
                continue
            quiet = judgement.quiet.get(key)
            outcome = Outcome.STEADY if quiet is None else _QUIET.get(quiet.code, Outcome.NOT_JUDGED)
            # What was not measured is told by the gaps.
            if outcome is not Outcome.NOT_MEASURED:
                yield key.metric, outcome
    for gap in coverage.gaps:
        yield gap.metric or "cell", Outcome.NOT_MEASURED


def _place(*words: str) -> tuple[str, ...]:
    return words


def _method(facts: NightFacts, judgements: Mapping[str, DeviceJudgement], findings: Sequence[Finding]) -> Method:
    before = facts.previous_report.method if facts.previous_report is not None else None
    quiet = sum(
        sum(one.code is NoCandidateCode.STEADY for one in judgement.quiet.values()) for judgement in judgements.values()
    ) + sum(one.outcome is Outcome.NOT_REPRODUCED for one in findings)
    quiet += (before.quiet_series_night_count or 0) if before is not None else 0
    return Method(
        hypothesis_count=sum(one.hypothesis_count for one in judgements.values()),
        candidate_count=sum(len(one.candidates) for one in judgements.values()),
        confirmation_count=sum(bool(one.job_id) for one in facts.confirmations.values()),
        confidence=DEFAULT_CONFIDENCE,
        sentences=_sentences(facts, quiet),
        versions=_versions(facts),
        false_alarm_count=facts.invalid_alert_count if quiet else None,
        quiet_series_night_count=quiet or None,
    )


def _sentences(facts: NightFacts, quiet: int) -> tuple[str, ...]:
    night = facts.running.suite.night
    told = [
        (
            "Series are held against up to 28 nights since the last accepted change, freed of what the device's "
            "sentinel shows; what looks different (p < 0.05 and the least effect of its metric) is a candidate and no "
            "result."
        ),
    ]
    if night.confirm:
        told.append(
            f"Candidates are confirmed in the same night: what was there on the last good night against what is there "
            f"now, in turn, on the same device, at {100 * DEFAULT_CONFIDENCE:g} %."
        )
    else:
        told.append("The suite wants no confirmations: candidates of metrics with noise stay suspected.")
    if quiet:
        told.append(
            f"False alarms are alerts that somebody closed as invalid ({facts.invalid_alert_count}), beside {quiet} "
            "nights of series that were steady or not reproduced."
        )
    else:
        told.append("The false-alarm rate of this fleet is not known yet: no night of a series was judged steady.")
    return tuple(told)


def _versions(facts: NightFacts) -> tuple[tuple[str, str], ...]:
    found = {("steelyard", __version__)}
    found |= {("steelyard-agent", version) for version in facts.running.agents.values() if version}
    for one in facts.series:
        entries = facts.environments.get(one.environment_of(facts.number), {})
        if entries.get("runtime_version"):
            found.add((entries.get("runtime", "runtime"), entries["runtime_version"]))
    return tuple(sorted(found))

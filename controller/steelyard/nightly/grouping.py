"""Confirmed regressions by their likely cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steelyard.nightly.device_judgement import DeviceJudgement
from steelyard.nightly.night_facts import NightFacts
from steelyard.nightly.night_findings import Cause, CauseGroup, Finding


def regressions_by_cause(
    facts: NightFacts, judgements: Mapping[str, DeviceJudgement], findings: Sequence[Finding]
) -> tuple[CauseGroup, ...]:
    """Return the confirmed regressions of a night in groups with one likely cause each."""
    if not findings:
        return ()
    because = f"{len(findings)} of {sum(len(one.facts) for one in judgements.values())} series in night {facts.number}"
    return (CauseGroup(cause=Cause.UNKNOWN, title="Regressions", because=because, findings=tuple(findings)),)

"""Regressions by their likely cause: what attribution is told of each series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from steelyard.attribution.grouping import Attribution, attribute
from steelyard.attribution.survey import Surveyed
from steelyard.nightly.device_judgement import DeviceJudgement
from steelyard.nightly.findings import environment_differences
from steelyard.nightly.histories import SeriesFacts
from steelyard.nightly.night_facts import NightFacts
from steelyard.nightly.night_findings import Cause, EnvironmentDifference, Finding, SeriesName
from steelyard.nightly.notes import Factor, confirmation_key
from steelyard.series.judgements import ConfirmationKind, NoCandidateCode
from steelyard.suites.cells import Cell

_PUT_BACK = {Factor.MODEL: Cause.MODEL, Factor.RUNTIME: Cause.RUNTIME}
_Place = tuple[str, str, str, str]


def attributed(facts: NightFacts, judgements: Mapping[str, DeviceJudgement], worse: Sequence[Finding]) -> Attribution:
    """Group what got worse by its likely cause, beside all series that did not."""
    if not worse:
        return Attribution(groups=(), troubles=())
    first_bad = min((one.first_bad_night for one in worse if one.first_bad_night is not None), default=facts.number)
    found = {_place_of(one.series): one for one in worse}
    surveyed = [
        Surveyed(series=one.series, differences=one.environment, finding=one, put_back=_put_back(facts, one))
        for one in worse
    ]
    return attribute([*surveyed, *_steady(facts, judgements, found, first_bad)])


def _steady(
    facts: NightFacts, judgements: Mapping[str, DeviceJudgement], worse: Mapping[_Place, Finding], first_bad: int
) -> Iterator[Surveyed]:
    for judgement in judgements.values():
        for key, quiet in judgement.quiet.items():
            if quiet.code is not NoCandidateCode.STEADY or (key.model, key.device_id, key.runtime, key.metric) in worse:
                continue
            one = judgement.facts[key]
            name = SeriesName(
                model=key.model,
                device_id=key.device_id,
                device=facts.device_name(key.device_id),
                runtime=key.runtime,
                metric=key.metric,
            )
            yield Surveyed(series=name, differences=_differences_since(facts, one, first_bad))


def _differences_since(facts: NightFacts, one: SeriesFacts, night: int) -> tuple[EnvironmentDifference, ...]:
    """Return what differs between a series' last environment before a night and tonight's."""
    before = [number for number in one.history.nights.tolist() if number < night]
    if not before:
        return ()
    known = facts.environments
    return environment_differences(
        known.get(one.environment_of(before[-1]), {}), known.get(one.environment_of(facts.number), {})
    )


def _put_back(facts: NightFacts, finding: Finding) -> Cause | None:
    """Return what a confirmation put back so that the series was as good as before."""
    series = finding.series
    cell = Cell(model=series.model, device_id=series.device_id, runtime=series.runtime)
    for factor, cause in _PUT_BACK.items():
        note = facts.confirmations.get(confirmation_key(cell, factor))
        outcomes = dict(note.outcomes) if note is not None else {}
        outcome = outcomes.get(series.metric)
        if outcome is not None and outcome.kind is ConfirmationKind.CONFIRMED:
            return cause
    return None


def _place_of(series: SeriesName) -> _Place:
    return series.model, series.device_id, series.runtime, series.metric

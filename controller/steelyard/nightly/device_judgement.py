"""A device's night judged: the device itself by its sentinel, then each of its series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from steelyard.nightly.device_session import SENTINEL_MODEL
from steelyard.nightly.histories import (
    SeriesFacts,
    accepted_sentinel_night,
    freed_of_other_sentinels,
    sentinel_nights,
    without_bad_nights,
)
from steelyard.series.device_judging import judge_device
from steelyard.series.history import History
from steelyard.series.judgements import Candidate, DeviceVerdict, NoCandidate, NoCandidateCode, Side
from steelyard.series.judging import judge_night
from steelyard.series.lasting import lasting_p
from steelyard.series.localisation import first_bad_night
from steelyard.series.metric_rules import MetricKind, MetricRule
from steelyard.series.ranking import ranked
from steelyard.series.series_key import SeriesKey
from steelyard.triage.alert import Alert, AlertState, before_night

_JUDGED = frozenset({NoCandidateCode.STEADY})
# Confirmed on an earlier night: what it was compared with then is what it is compared with now.
STANDING = frozenset({AlertState.CONFIRMED, AlertState.ACKNOWLEDGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCandidate:
    """A candidate with its series, the history that it was judged by, and the last night that was good.

    ``lasting_p`` is that of an open alert's later nights (``series.lasting``), None on the first two.
    """

    candidate: Candidate
    facts: SeriesFacts
    history: History
    last_good_night: int
    first_bad_night: int
    alert: Alert | None = None
    lasting_p: float | None = None

    @property
    def is_standing(self) -> bool:
        """Whether an earlier night confirmed already that it is worse; what is better than before is so no more."""
        is_known = self.alert is not None and self.alert.state in STANDING
        return is_known and self.candidate.side is not Side.BETTER

    @property
    def is_old_news(self) -> bool:
        """Whether it only got better, and did so before the last two nights: it was told then."""
        return (
            self.candidate.side is Side.BETTER
            and self.alert is None
            and self.first_bad_night < self.candidate.night - 1
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceJudgement:
    """What a device's night comes to before confirmations; candidates the most certain first."""

    verdict: DeviceVerdict
    candidates: tuple[JudgedCandidate, ...]
    quiet: Mapping[SeriesKey, NoCandidate]
    facts: Mapping[SeriesKey, SeriesFacts]
    judged_count: int

    @property
    def hypothesis_count(self) -> int:
        """Series that could be judged, each in both directions."""
        return 2 * self.judged_count


def judge_device_night(
    device_id: str,
    facts: Sequence[SeriesFacts],
    rules: Mapping[str, MetricRule],
    *,
    night: int,
    environments: Mapping[int, Mapping[str, str]],
    alerts: Iterable[Alert] = (),
) -> DeviceJudgement:
    """Judge one device's night.

    Args:
        device_id: Of the device.
        facts: Its series, the sentinel's among them, up to and including the night.
        rules: Of the metrics that the suite judges.
        night: The night's number.
        environments: By id, those of the sentinel's points at least.
        alerts: The suite's open ones, and those that this night ended when it was told before; a series with one that
            is older than the night is held against the nights before the alert.
    """
    sentinel = sentinel_nights(facts, environments)
    past = sentinel.past(night, since=accepted_sentinel_night(facts))
    verdict = judge_device(device_id, past, sentinel.tonight(night))
    earlier = (before_night(alert, night) for alert in alerts)
    open_alerts = {alert.subject.key: alert for alert in earlier if alert is not None}
    candidates: list[JudgedCandidate] = []
    quiet: dict[SeriesKey, NoCandidate] = {}
    models = [one for one in facts if one.key.model != SENTINEL_MODEL and one.key.metric in rules]
    for one in models:
        alert = open_alerts.get((one.key.suite, one.key.model, one.key.device_id, one.key.runtime, one.key.metric))
        history = whole = freed_of_other_sentinels(one.history, sentinel.epochs, night)
        if alert is not None:
            history = without_bad_nights(whole, alert.first_night, night)
        judged = judge_night(history, rules[one.key.metric], night=night)
        if isinstance(judged, NoCandidate):
            quiet[one.key] = judged
        else:
            made = _with_nights(judged, one, history, rules[one.key.metric], alert)
            candidates.append(replace(made, lasting_p=_lasting(whole, rules[one.key.metric], alert)))
    judged_count = len(candidates) + sum(one.code in _JUDGED for one in quiet.values())
    return DeviceJudgement(
        verdict=verdict,
        candidates=_in_order(candidates, judged_count),
        quiet=quiet,
        facts={one.key: one for one in models},
        judged_count=judged_count,
    )


def _with_nights(
    candidate: Candidate, facts: SeriesFacts, history: History, rule: MetricRule, alert: Alert | None
) -> JudgedCandidate:
    nights = history.recent().nights
    if alert is not None and candidate.side is not Side.BETTER:
        first_bad = alert.first_night
    else:
        first_bad = first_bad_night(history, rule, candidate)
    good = nights[(nights < first_bad) & (nights < candidate.night)]
    return JudgedCandidate(
        candidate=candidate,
        facts=facts,
        history=history,
        last_good_night=int(good[-1] if good.size else nights[0]),
        first_bad_night=first_bad,
        alert=alert,
    )


def _lasting(history: History, rule: MetricRule, alert: Alert | None) -> float | None:
    if alert is None or rule.kind is not MetricKind.CONTINUOUS:
        return None
    opened = alert.events[0].night_number or alert.first_night
    return lasting_p(history, rule, first_bad=alert.first_night, opened=opened)


def _in_order(candidates: Sequence[JudgedCandidate], judged_count: int) -> tuple[JudgedCandidate, ...]:
    by_key = {one.candidate.key: one for one in candidates}
    in_order = ranked([one.candidate for one in candidates], 2 * judged_count)
    return tuple(by_key[one.candidate.key] for one in in_order)

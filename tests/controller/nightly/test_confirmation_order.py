from __future__ import annotations

from typing import Any

from steelyard.nightly.confirmations import to_confirm
from steelyard.nightly.device_judgement import JudgedCandidate
from steelyard.series.judgements import Candidate, Side
from steelyard.series.metric_rules import METRIC_RULES
from steelyard.series.series_key import SeriesKey
from steelyard.triage.alert import Alert, AlertState, AlertSubject, new_alert


def alert(state: AlertState) -> Alert:
    return new_alert(
        AlertSubject(suite="shelf", device_id="d1", device="pi5"),
        state=state,
        first_night=8,
        night_number=8,
        at="2026-11-28T02:00:00Z",
        reason="slower",
    )


def judged(model: str, *, metric: str = "p50", side: Side = Side.WORSE, **changes: Any) -> JudgedCandidate:
    key = SeriesKey(suite="shelf", model=model, device_id="d1", runtime="cpu", metric=metric)
    candidate = Candidate(key=key, night=9, side=side, reason="4 % more")
    given: dict[str, Any] = {"facts": None, "history": None, "last_good_night": 8, "first_bad_night": 9, **changes}
    return JudgedCandidate(candidate=candidate, **given)


def models(candidates: list[JudgedCandidate]) -> list[str]:
    return [one.candidate.key.model for one in to_confirm(candidates, METRIC_RULES)]


def test_what_an_earlier_night_left_open_is_confirmed_first_and_what_got_better_last() -> None:
    candidates = [
        judged("better", side=Side.BETTER),
        judged("surest"),
        judged("surer"),
        judged("suspected", alert=alert(AlertState.SUSPECTED)),
        judged("undecided", alert=alert(AlertState.UNDECIDED)),
    ]
    assert models(candidates) == ["suspected", "undecided", "surest", "surer", "better"]


def test_what_was_confirmed_before_is_exact_or_is_old_news_needs_no_confirmation() -> None:
    candidates = [
        judged("confirmed", alert=alert(AlertState.CONFIRMED)),
        judged("exact", metric="size"),
        judged("old", side=Side.BETTER, first_bad_night=7),
        judged("new"),
    ]
    assert models(candidates) == ["new"]

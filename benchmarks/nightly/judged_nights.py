"""A device's nights judged one after the other, as real ones are: candidates, confirmations in a budget, baselines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from benchmarks.nightly.fleet_plan import NIGHT_COUNT, SimulatedDevice
from benchmarks.nightly.measured_nights import MeasuredNights, confirmation_rounds
from steelyard.series.confirming import as_the_night_looked, judge_confirmation
from steelyard.series.device_judging import judge_nights_of_device
from steelyard.series.history import History
from steelyard.series.judgements import (
    Candidate,
    ConfirmationKind,
    ConfirmationOutcome,
    DeviceVerdict,
    NoCandidate,
    NoCandidateCode,
    Side,
)
from steelyard.series.judging import judge_night
from steelyard.series.metric_rules import rule_for
from steelyard.series.ranking import ranked
from steelyard.series.series_key import SeriesKey
from steelyard.stats.comparison import DEFAULT_CONFIDENCE
from steelyard.stats.stopping import StopRule

# What confirmations may take on a device a night, and a round of two blocks on a slow board.
BUDGET_S, ROUND_S = 900.0, 4.0
_STOP = StopRule()
_RULE = rule_for("p50")
_NEW_BASELINE = (ConfirmationKind.CONFIRMED, ConfirmationKind.IMPROVED)


@dataclass(slots=True, kw_only=True)
class DeviceNights:
    """A device whose nights are judged in turn, and what is counted on the way."""

    random: np.random.Generator
    device: SimulatedDevice
    measured: MeasuredNights
    counts: Counter[str] = field(default_factory=Counter)
    # Seconds of confirmations, a night each.
    confirmation_s: list[float] = field(default_factory=list)
    # Nights online, from the first on which the device is sick, until its first line; None where there was none.
    nights_to_line: int | None = None
    # Night of the confirmation of a planted regression, by series.
    found: dict[int, int] = field(default_factory=dict)
    # By series: the first night of the accepted level, and the true log effect in it.
    accepted: dict[int, tuple[int, float]] = field(default_factory=dict)

    def judge_all(self) -> None:
        """Judge every night on which the device was online."""
        verdicts = judge_nights_of_device("device", self.measured.sentinels)
        for night in range(NIGHT_COUNT):
            if self.device.online[night]:
                self._judge(night, verdicts[night])

    def nights_to_find(self) -> list[int | None]:
        """Return, for each planted regression, how many nights with a value it went unconfirmed; None where it stayed.

        0: it was confirmed on the first night that measured it.
        """
        planted = {index: one.planted_night for index, one in enumerate(self.device.series)}
        return [
            int(np.sum(np.isfinite(self.measured.values_ns[index, night : self.found[index]])))
            if index in self.found
            else None
            for index, night in planted.items()
            if night is not None
        ]

    def _judge(self, night: int, verdict: DeviceVerdict) -> None:
        word = "planted" if self._is_sick(night) else "quiet"
        self.counts[f"device nights, {word}"] += 1
        self.counts[f"device lines, {word}"] += verdict.holds_back
        if word == "planted" and verdict.holds_back and self.nights_to_line is None:
            self.nights_to_line = self.counts["device nights, planted"] - 1
        judged = [
            judge_night(self._history(index, night), _RULE, night=night) for index in range(len(self.device.series))
        ]
        hypotheses = sum(map(_is_judged, judged))
        candidates = [one for one in judged if isinstance(one, Candidate)]
        self.counts["series-nights"] += hypotheses
        self.counts["candidates"] += len(candidates)
        if verdict.holds_back:
            self.counts["held back"] += len(candidates)
            return
        self._confirm_in_turn(candidates, hypotheses, night)

    def _confirm_in_turn(self, candidates: list[Candidate], hypotheses: int, night: int) -> None:
        spent_s = 0.0
        # What got worse first, as nights do.
        for one in sorted(ranked(candidates, 2 * hypotheses), key=lambda each: each.candidate.side is Side.BETTER):
            index = int(one.candidate.key.model)
            outcome = self._confirm(one.candidate, index, night, BUDGET_S - spent_s)
            if outcome is None:
                self.counts["beyond the budget"] += 1
                continue
            spent_s += outcome.round_count * ROUND_S
            self._take(index, night, outcome)
        self.confirmation_s.append(spent_s)

    def _is_sick(self, night: int) -> bool:
        return self.device.planted_night is not None and night >= self.device.planted_night

    def _history(self, index: int, night: int) -> History:
        values = self.measured.values_ns[index, : night + 1]
        nights = np.flatnonzero(np.isfinite(values))
        levels = [self.measured.sentinels[one].level_at(float(self.measured.places[index, one])) for one in nights]
        first, _ = self.accepted.get(index, (0, 0.0))
        return History(
            key=SeriesKey(suite="simulated", model=str(index), device_id="device", runtime="any", metric="p50"),
            nights=nights,
            values=values[nights],
            sentinels=np.array([np.nan if one is None else one for one in levels]),
            accepted_index=int(np.searchsorted(nights, first)),
        )

    def _confirm(self, candidate: Candidate, index: int, night: int, budget_s: float) -> ConfirmationOutcome | None:
        """Measure last good and current interleaved until a look decides; None where too few rounds fit the budget."""
        most = min(_STOP.max_rounds, int(budget_s // ROUND_S))
        if most < _STOP.min_rounds:
            return None
        series = self.device.series[index]
        effect = series.effect(night) - self._accepted_effect(index)
        rounds = confirmation_rounds(self.random, self.device, series, night, effect, _STOP.max_rounds)
        for look in [*(one for one in _STOP.looks if one < most), most]:
            outcome = judge_confirmation(
                rounds[:look, 0].tolist(),
                rounds[:look, 1].tolist(),
                _RULE,
                confidence=_STOP.look_confidence(DEFAULT_CONFIDENCE, look, is_last=look == most),
            )
            if outcome.kind is not ConfirmationKind.UNDECIDED:
                break
        return as_the_night_looked(outcome, candidate.side)

    def _accepted_effect(self, index: int) -> float:
        return self.accepted.get(index, (0, 0.0))[1]

    def _take(self, index: int, night: int, outcome: ConfirmationOutcome) -> None:
        """Count an outcome; what is confirmed, worse or better, is the new baseline, as when somebody accepts it."""
        effect = self.device.series[index].effect(night)
        is_there = effect != self._accepted_effect(index)
        self.counts["confirmations"] += 1
        self.counts[f"{outcome.kind.value}, {'planted' if is_there else 'nothing there'}"] += 1
        if outcome.kind is ConfirmationKind.CONFIRMED and is_there:
            self.found.setdefault(index, night)
        if outcome.kind is ConfirmationKind.CONFIRMED and self._is_sick(night):
            self.counts["model regressions on sick devices"] += 1
        if outcome.kind in _NEW_BASELINE:
            self.accepted[index] = night, effect


def _is_judged(one: Candidate | NoCandidate) -> bool:
    return isinstance(one, Candidate) or one.code is NoCandidateCode.STEADY

"""The stop rule of steelyard.stats applied to the recorded rounds of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.analysis.duration import round_ms
from steelyard.analysis.emulation import enough_rounds
from steelyard.analysis.round_times import round_time_ns
from steelyard.analysis.session_history import Spreads, spreads_of
from steelyard.analysis.validity import rounds_that_count, why_no_more_repeats, why_no_round
from steelyard.analysis.variant_rounds import VariantRounds, collect, paired_times
from steelyard.stats.comparison import (
    DEFAULT_CONFIDENCE,
    EQUIVALENCE_CONFIDENCE,
    ComparisonVerdict,
    compare_rounds,
)
from steelyard.stats.requirements import Requirement, RequirementVerdict, decide, parse_requirement
from steelyard.stats.session_spread import no_narrower
from steelyard.stats.stopping import (
    Grant,
    Look,
    Progress,
    StopRule,
    is_last_look,
    is_look,
    next_grant,
)
from steelyard.stats.task_metric import TaskMetric
from steelyard.stats.thresholds import DEFAULT_TARGET_HALF_WIDTH, Thresholds
from steelyard_protocol.v1 import control_pb2, plan_pb2, result_pb2

# Of the budget: rounds that are expected to take no more may be granted before one was seen.
_TRUSTED_SHARE = 0.25
# Their figures do not change with more timed rounds: they come from passes of their own.
_SETTLED_ELSEWHERE = frozenset({"size", "energy", "net_energy", "build"})
# Of every interval that is shown, and of requirements.
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDecision:
    """Whether to stop, why, and how many rounds to grant otherwise."""

    stop: bool
    reason: str = ""
    round_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LookConfidence:
    """Confidence of the intervals that verdicts are read off at one look; the looks are paid for in it."""

    difference: float
    equivalence: float
    requirement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPolicy:
    """What must be settled before a measurement ends.

    ``job_id`` tells the rounds of this measurement from those of earlier ones that it extends; "" where there are none.
    """

    request: control_pb2.SubmitMeasurementRequest
    requirements: tuple[Requirement, ...]
    thresholds: Thresholds
    job_id: str = ""
    emulated_by: str = ""
    spreads: Spreads = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        request: control_pb2.SubmitMeasurementRequest,
        *,
        job_id: str = "",
        emulated_by: str = "",
        history: control_pb2.SessionHistory | None = None,
        score: TaskMetric | None = None,
    ) -> StopPolicy:
        """Return the policy of a checked request.

        ``emulated_by`` is the device's word, "" for a real one; ``history`` what its earlier sessions left behind;
        ``score`` what the task measures, None where there is none.
        """
        return cls(
            request=request,
            requirements=tuple(parse_requirement(text, score) for text in request.requirements),
            thresholds=Thresholds.completed(request.minimum_effect, request.equivalence_margin),
            job_id=job_id,
            emulated_by=emulated_by,
            spreads=spreads_of(request.plan, history),
        )

    def decide(self, rounds: Sequence[result_pb2.RoundResult]) -> StopDecision:
        """Return what to do after these latency rounds, earlier ones included."""
        if self.emulated_by and len(rounds) >= self.request.min_round_count:
            return StopDecision(stop=True, reason=enough_rounds(len(rounds), self.emulated_by))
        cut_short = self.why_cut_short(rounds)
        if cut_short:
            return StopDecision(stop=True, reason=cut_short)
        rule, progress = self._rule(rounds), self._progress(rounds)
        look = self._look(rounds) if is_look(rule, progress) else Look()
        outcome = next_grant(rule, progress, look)
        if isinstance(outcome, Grant):
            return StopDecision(stop=False, round_count=self._granted(outcome.round_count, rounds))
        return StopDecision(stop=True, reason=outcome.because)

    def _granted(self, wanted: int, rounds: Sequence[result_pb2.RoundResult]) -> int:
        """Return how many rounds to grant of those that are wanted: on a short budget the first one alone.

        What a round takes, waiting for a quiet device included, is not known before, and a grant is not called back.
        """
        if rounds:
            return wanted
        plan = self.request.plan
        # Beside a busy neighbour each round may wait once for as long as the gate does.
        if wanted * plan.gate.longest_wait_ms > self.request.budget_ms:
            return 1
        return wanted if wanted * round_ms(plan) <= _TRUSTED_SHARE * self.request.budget_ms else 1

    def why_cut_short(self, rounds: Sequence[result_pb2.RoundResult]) -> str:
        """Return why measuring ended before it had enough: too many rounds were not valid; "" where it did not."""
        ours = [one for one in rounds if self._is_ours(one)]
        why = why_no_more_repeats(ours, self.request.max_round_count)
        spent_ms = self._progress(rounds).device_time_ns // 1_000_000
        if why or not ours or rounds_that_count(ours) or spent_ms < self.request.budget_ms:
            return why
        return why_no_round(ours)

    def look_confidence(self, rounds: Sequence[result_pb2.RoundResult]) -> LookConfidence:
        """Return at which confidence verdicts are read after these latency rounds.

        A measurement that ended between two looks, by a cancellation say, had its last look there.
        """
        rule, progress = self._rule(rounds), self._progress(rounds)
        is_last = is_last_look(rule, progress) or not is_look(rule, progress)

        def paid(confidence: float) -> float:
            return rule.look_confidence(confidence, progress.round_count, is_last=is_last)

        return LookConfidence(
            difference=paid(DEFAULT_CONFIDENCE), equivalence=paid(EQUIVALENCE_CONFIDENCE), requirement=paid(CONFIDENCE)
        )

    def _rule(self, rounds: Sequence[result_pb2.RoundResult]) -> StopRule:
        request = self.request
        earlier = self._earlier(rounds)
        earlier_count = self._rounds_that_count(earlier)
        most = max(request.max_round_count, earlier_count + 1)
        return StopRule(
            min_rounds=min(request.min_round_count, most - earlier_count),
            max_rounds=most,
            target_half_width=request.target_half_width or DEFAULT_TARGET_HALF_WIDTH,
            budget_ns=request.budget_ms * 1_000_000,
            earlier_rounds=earlier_count,
            extension=len({one.job_id for one in earlier}),
        )

    def _progress(self, rounds: Sequence[result_pb2.RoundResult]) -> Progress:
        times_ns = [time_ns for one in rounds if (time_ns := round_time_ns(one)) is not None]
        # A round whose time cannot be told took as long as the others.
        usual_ns = sum(times_ns) // len(times_ns) if times_ns else 0
        spent_ns = (round_time_ns(one) for one in rounds if self._is_ours(one))
        return Progress(
            round_count=self._rounds_that_count(rounds),
            device_time_ns=sum(usual_ns if time_ns is None else time_ns for time_ns in spent_ns),
            round_time_ns=max(1, usual_ns) if times_ns else None,
        )

    def _look(self, rounds: Sequence[result_pb2.RoundResult]) -> Look:
        labels = [planned.label for planned in self.request.plan.artifacts]
        variants = collect(rounds, labels, mode=self.request.plan.mode)
        alive = [label for label, one in variants.items() if one.timed]
        # Where all that is asked for is a comparison, narrow medians do not answer it.
        compares = not self.requirements and len(alive) > 1 and labels[0] in alive
        widths = (variants[label].primary_time(CONFIDENCE).relative_half_width for label in alive)
        return Look(
            decided=self._decided(variants, self.look_confidence(rounds)), half_widths=() if compares else tuple(widths)
        )

    def _is_ours(self, one: result_pb2.RoundResult) -> bool:
        return not self.job_id or one.job_id == self.job_id

    def _earlier(self, rounds: Sequence[result_pb2.RoundResult]) -> list[result_pb2.RoundResult]:
        return [one for one in rounds if not self._is_ours(one)]

    def _rounds_that_count(self, rounds: Sequence[result_pb2.RoundResult]) -> int:
        """Return the rounds less those that are repeated."""
        return len(rounds_that_count(rounds))

    def _decided(self, variants: dict[str, VariantRounds], look: LookConfidence) -> bool:
        """Whether each verdict that more rounds could change is settled, at the confidence of this look."""
        planned = self.request.plan.artifacts
        alive = [one for one in planned if variants[one.label].timed]
        if not alive or (not self.requirements and len(planned) == 1):
            return False
        if not self.requirements:
            return all(self._compared(variants, one, look) for one in alive if one.label != planned[0].label)
        return all(
            self._settled(variants, one, requirement, look)
            for one in alive
            for requirement in self.requirements
            if not (requirement.is_on_score or requirement.metric in _SETTLED_ELSEWHERE)
        )

    def _settled(
        self,
        variants: dict[str, VariantRounds],
        planned: plan_pb2.PlannedArtifact,
        requirement: Requirement,
        look: LookConfidence,
    ) -> bool:
        if requirement.metric == "speedup":
            is_reference = planned.label == self.request.plan.artifacts[0].label
            return is_reference or self._compared(variants, planned, look)
        estimate = variants[planned.label].estimate(
            requirement.metric, size_bytes=planned.size_bytes, confidence=look.requirement
        )
        spread = self.spreads.get(planned.label, {}).get(requirement.metric)
        return decide(requirement, no_narrower(estimate, spread)).verdict is not RequirementVerdict.UNDECIDED

    def _compared(
        self, variants: dict[str, VariantRounds], planned: plan_pb2.PlannedArtifact, look: LookConfidence
    ) -> bool:
        first = self.request.plan.artifacts[0].label
        reference, candidate = paired_times(variants[first], variants[planned.label])
        comparison = compare_rounds(
            reference,
            candidate,
            confidence=look.difference,
            equivalence_confidence=look.equivalence,
            thresholds=self.thresholds,
        )
        return comparison.verdict is not ComparisonVerdict.UNDECIDED

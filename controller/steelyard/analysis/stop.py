"""The stop rule of steelyard.stats applied to the recorded rounds of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.analysis.emulation import enough_rounds
from steelyard.analysis.variant_rounds import VariantRounds, collect, paired_medians
from steelyard.stats.comparison import DEFAULT_CONFIDENCE, ComparisonVerdict, compare_rounds
from steelyard.stats.requirements import Requirement, RequirementVerdict, decide, parse_requirement
from steelyard.stats.stopping import Grant, Progress, StopRule, next_grant
from steelyard_protocol.v1 import control_pb2, result_pb2

# Their figures do not change with more rounds: the data set is run once.
_SETTLED_BY_EVALUATION = frozenset({"accuracy", "drop", "size", "energy"})
_NOT_VALID = result_pb2.BLOCK_STATUS_NOT_VALID
# Of every interval that is shown, and of requirements.
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDecision:
    """Whether to stop, why, and how many rounds to grant otherwise."""

    stop: bool
    reason: str = ""
    round_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPolicy:
    """What must be settled before a measurement ends."""

    rule: StopRule
    labels: tuple[str, ...]
    sizes: tuple[int, ...]
    requirements: tuple[Requirement, ...]
    emulated_by: str = ""

    @classmethod
    def of(cls, request: control_pb2.SubmitMeasurementRequest, *, emulated_by: str = "") -> StopPolicy:
        """Return the policy of a checked request; ``emulated_by`` is the device's word, "" for a real one."""
        artifacts = request.plan.artifacts
        return cls(
            rule=StopRule(
                min_rounds=request.min_round_count,
                max_rounds=request.max_round_count,
                budget_ns=request.budget_ms * 1_000_000,
            ),
            labels=tuple(planned.label for planned in artifacts),
            sizes=tuple(planned.size_bytes for planned in artifacts),
            requirements=tuple(parse_requirement(text) for text in request.requirements),
            emulated_by=emulated_by,
        )

    def decide(self, rounds: Sequence[result_pb2.RoundResult]) -> StopDecision:
        """Return what to do after these latency rounds."""
        if self.emulated_by and len(rounds) >= self.rule.min_rounds:
            return StopDecision(stop=True, reason=enough_rounds(len(rounds), self.emulated_by))
        variants = collect(rounds, self.labels)
        times_ns = [one.finished_at.ToNanoseconds() - one.started_at.ToNanoseconds() for one in rounds]
        progress = Progress(
            round_count=self._rounds_that_count(rounds),
            device_time_ns=max(0, sum(times_ns)),
            round_time_ns=max(1, sum(times_ns) // len(times_ns)) if times_ns else None,
            decided=self._decided(variants),
            half_widths=tuple(
                one.estimate("p50", size_bytes=0, confidence=CONFIDENCE).relative_half_width
                for one in variants.values()
                if one.timed
            ),
        )
        outcome = next_grant(self.rule, progress)
        if isinstance(outcome, Grant):
            return StopDecision(stop=False, round_count=outcome.round_count)
        return StopDecision(stop=True, reason=outcome.because)

    def _rounds_that_count(self, rounds: Sequence[result_pb2.RoundResult]) -> int:
        """Return the rounds less those with a block that was not valid, which are repeated: as many as are allowed."""
        repeated = sum(any(block.status == _NOT_VALID for block in one.blocks) for one in rounds)
        return max(len(rounds) - repeated, len(rounds) - self.rule.max_rounds)

    def _decided(self, variants: dict[str, VariantRounds]) -> bool:
        """Whether each verdict that more rounds could change is settled, at the confidence of one look."""
        alive = [self.labels.index(label) for label, one in variants.items() if one.timed]
        if not alive or (not self.requirements and len(self.labels) == 1):
            return False
        if not self.requirements:
            return all(self._compared(variants, index) for index in alive if index != 0)
        return all(
            self._settled(variants, index, requirement)
            for index in alive
            for requirement in self.requirements
            if requirement.metric not in _SETTLED_BY_EVALUATION
        )

    def _settled(self, variants: dict[str, VariantRounds], index: int, requirement: Requirement) -> bool:
        if requirement.metric == "speedup":
            return index == 0 or self._compared(variants, index)
        confidence = self.rule.look_confidence(CONFIDENCE)
        variant = variants[self.labels[index]]
        estimate = variant.estimate(requirement.metric, size_bytes=self.sizes[index], confidence=confidence)
        return decide(requirement, estimate).verdict is not RequirementVerdict.UNDECIDED

    def _compared(self, variants: dict[str, VariantRounds], index: int) -> bool:
        reference, candidate = paired_medians(variants[self.labels[0]], variants[self.labels[index]])
        comparison = compare_rounds(reference, candidate, confidence=self.rule.look_confidence(DEFAULT_CONFIDENCE))
        return comparison.verdict is not ComparisonVerdict.UNDECIDED

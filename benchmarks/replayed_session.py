"""A comparison without a clock: medians that were drawn go round by round through the stop rule and the analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis.measurement import MeasurementInput, build_measurement
from steelyard.analysis.stop import StopPolicy
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2, plan_pb2, result_pb2

LABELS = ("original", "other")
# What a round of two blocks takes beside the work that is timed in it: docs/benchmarks.md, "What a block takes".
ROUND_S = 1.25
_NS = 1_000_000_000
_DIGESTS = ("a" * 64, "b" * 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a comparison ended: the verdict's word ("NO_DIFFERENCE") and after how many rounds."""

    verdict: str
    round_count: int


def replay(medians_ns: NDArray[np.float64], *, budget_s: float, max_rounds: int = 40) -> Ending:
    """Let the stop rule grant rounds out of ``medians_ns`` [rounds >= max_rounds, 2] until it stops; then analyse."""
    request = _request(budget_s, max_rounds)
    policy = StopPolicy.of(request)
    everything = [_round(index, row.tolist()) for index, row in enumerate(medians_ns[:max_rounds])]
    done: list[result_pb2.RoundResult] = []
    while not (decision := policy.decide(done)).stop:
        done += everything[len(done) : len(done) + decision.round_count]
    found = build_measurement(_given(request, done)).variants[1]
    word = measurement_pb2.ComparisonVerdict.Name(found.comparison).removeprefix("COMPARISON_VERDICT_")
    return Ending(verdict=word, round_count=len(done))


def _request(budget_s: float, max_rounds: int) -> control_pb2.SubmitMeasurementRequest:
    artifacts = [
        plan_pb2.PlannedArtifact(artifact_digest=digest, label=label)
        for digest, label in zip(_DIGESTS, LABELS, strict=True)
    ]
    return control_pb2.SubmitMeasurementRequest(
        plan=plan_pb2.Plan(artifacts=artifacts),
        min_round_count=6,
        max_round_count=max_rounds,
        budget_ms=round(budget_s * 1000),
    )


def _round(index: int, medians_ns: Sequence[float]) -> result_pb2.RoundResult:
    made = result_pb2.RoundResult(attempt=1, pass_kind=result_pb2.PASS_LATENCY, round_index=index)
    for label, digest, median_ns in zip(LABELS, _DIGESTS, medians_ns, strict=True):
        made.blocks.add(
            artifact_digest=digest,
            label=label,
            status=result_pb2.BLOCK_STATUS_OK,
            # Picoseconds: the medians of a 20 us model must not be rounded to what the stop rule would notice.
            latency_ns=[round(median_ns * 1000)],
            latency_summary="median",
        )
    made.started_at.FromNanoseconds(round(index * ROUND_S * _NS))
    made.finished_at.FromNanoseconds(round((index + 1) * ROUND_S * _NS))
    return made


def _given(request: control_pb2.SubmitMeasurementRequest, rounds: Sequence[result_pb2.RoundResult]) -> MeasurementInput:
    return MeasurementInput(
        job=control_pb2.Job(),
        request=request,
        rounds=rounds,
        artifacts={digest: control_pb2.Artifact(digest=digest, name="model") for digest in _DIGESTS},
        task=None,
        truth={},
        outputs={},
        device=common_pb2.DeviceDescription(name="replayed"),
        controller_id="",
    )

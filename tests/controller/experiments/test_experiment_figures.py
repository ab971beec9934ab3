"""Figures of trainings, from lineages and measurements as the controller gives them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from steelyard.experiments.figures import figures_of
from steelyard.experiments.record import DeviceMeasurement, ExperimentRecord, SeedTraining
from steelyard_protocol.v1 import control_pb2, measurement_pb2, result_pb2

RECORD = ExperimentRecord(
    trainings=(
        SeedTraining(recipe="a", seed=1, digest="late"),
        SeedTraining(recipe="a", seed=0, digest="early"),
        SeedTraining(recipe="a", seed=2, reason="the loss is no number"),
    ),
    measurements=(DeviceMeasurement(device="pi5", job_id="1", digests=("early", "late")),),
)


def estimate(value: float, half: float, unit: str) -> measurement_pb2.Estimate:
    return measurement_pb2.Estimate(
        value=value, low=value - half, high=value + half, unit=unit, confidence=0.95, observation_count=11
    )


def artifact(score: float) -> control_pb2.Artifact:
    evaluation = control_pb2.StepEvaluation(metric="top1", unit="fraction", value=score, low=score, high=score)
    return control_pb2.Artifact(lineage=control_pb2.Lineage(steps=[control_pb2.LineageStep(evaluation=evaluation)]))


ARTIFACTS = {"early": artifact(0.8), "late": artifact(0.9)}


def measurement(task_name: str = "") -> measurement_pb2.Measurement:
    early = measurement_pb2.VariantMeasurement(
        artifact_digest="early",
        speedup=estimate(2.0, 0.1, "ratio"),
        p50_latency=estimate(1e6, 1e4, "ns"),
        accuracy=estimate(0.81, 0.02, "fraction"),
    )
    late = measurement_pb2.VariantMeasurement(
        artifact_digest="late", failure_status=result_pb2.BLOCK_STATUS_UNSUPPORTED
    )
    late.failure.message = "no kernel"
    return measurement_pb2.Measurement(job_id="1", task_name=task_name, variants=[early, late])


def test_without_a_score_of_the_device_claims_are_of_the_controllers() -> None:
    told = figures_of(RECORD, ARTIFACTS, {"1": measurement()})
    of_controller = [one for one in told if not one.metric.device]
    assert [(one.seed, one.value, one.metric.is_claimed) for one in of_controller] == [(0, 0.8, True), (1, 0.9, True)]


def test_a_score_of_the_device_counts_before_that_of_the_controller() -> None:
    told = figures_of(RECORD, ARTIFACTS, {"1": measurement("fashion")})
    claimed = {(one.metric.name, one.metric.device) for one in told if one.metric.is_claimed}
    assert claimed == {("accuracy", "pi5"), ("speedup", "pi5")}


def test_times_have_the_variance_that_their_interval_was_made_of_and_scores_have_none() -> None:
    told = {one.metric.name: one for one in figures_of(RECORD, ARTIFACTS, {"1": measurement("f")}) if one.seed == 0}
    # t(0.975) with 10 degrees of freedom is 2.228.
    assert told["speedup"].variance == pytest.approx((0.1 / 2.228) ** 2, rel=1e-3)
    assert told["accuracy"].variance == 0.0


def measured_together(noise: list[float], shared: list[float]) -> measurement_pb2.Measurement:
    """Two models whose times differ by ``noise`` in turn, in rounds that are slower by ``shared``."""
    found = []
    for digest, sign in (("early", 1), ("late", -1)):
        one = measurement_pb2.VariantMeasurement(
            artifact_digest=digest, speedup=estimate(2.0, 0.1, "ratio"), p50_latency=estimate(1e6, 1e5, "ns")
        )
        for index, (own, all_of_it) in enumerate(zip(noise, shared, strict=True)):
            one.rounds.add(round_index=index, p50_ns=1e6 * math.exp(all_of_it + sign * own))
        found.append(one)
    return measurement_pb2.Measurement(job_id="1", variants=found)


def test_what_slows_every_model_of_a_round_is_no_part_of_how_far_seeds_lie_apart() -> None:
    noise = [0.01, -0.01, 0.01, -0.01]
    quiet, loud = (
        {one.metric.name: one for one in figures_of(RECORD, ARTIFACTS, {"1": measured_together(noise, shared)})}
        for shared in ([0.0] * 4, [0.5, 0.2, 0.0, -0.3])
    )
    # Each model has the variance 0.01 ** 2 * 4 / 3 a round, twice that of the sign that both share, over 4 rounds.
    share = 2 * 0.01**2 * 4 / 3 / 4
    for told in (quiet, loud):
        assert told["speedup"].variance == pytest.approx(2.0**2 * share)
        assert told["p50"].variance == pytest.approx(1e6**2 * share)


def test_models_of_two_measurements_have_the_variance_of_their_own_intervals() -> None:
    both = measured_together([0.01, -0.01, 0.01, -0.01], [0.5, 0.2, 0.0, -0.3])
    apart = tuple(DeviceMeasurement(device="pi5", job_id=one, digests=(one,)) for one in ("early", "late"))
    told = figures_of(replace(RECORD, measurements=apart), ARTIFACTS, {"early": both, "late": both})
    speedups = [one.variance for one in told if one.metric.name == "speedup"]
    assert speedups == pytest.approx([(0.1 / 2.228) ** 2] * 2, rel=1e-3)


def test_what_the_device_cannot_run_says_so() -> None:
    told = [one for one in figures_of(RECORD, ARTIFACTS, {"1": measurement()}) if one.seed == 1 and one.metric.device]
    assert {one.value for one in told} == {None}
    assert {one.reason for one in told} == {"unsupported: no kernel"}


def test_a_score_by_another_task_is_none_of_the_experiment() -> None:
    told = figures_of(RECORD, ARTIFACTS, {"1": measurement()}, task_id="another")
    assert told
    assert all(one.metric.device for one in told)

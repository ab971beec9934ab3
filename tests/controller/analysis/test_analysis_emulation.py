"""What is said of an emulated device: accuracy and size, and why there is nothing else."""

from __future__ import annotations

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.stop import StopPolicy
from steelyard_protocol.v1 import common_pb2, measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import (
    digest_of,
    energy_round,
    evaluation_round,
    given,
    latency_rounds,
    request_of,
    round_of,
    size_of,
)

PAIR = {"original": 2e6, "fast": 1e6}
QEMU = "qemu-user on x86_64"
DEVICE = common_pb2.DeviceDescription(device_id="d1", name="arm", emulated_by=QEMU)
NOT_A_LATENCY = f"measured under emulation ({QEMU}): not a latency"
NOT_ITS_OWN = f"measured under emulation ({QEMU}): the emulator's own is in it"
CRASH = (result_pb2.BLOCK_STATUS_CRASHED, "the worker died of SIGSEGV")


def emulated(rounds=None, **fields: object) -> measurement_pb2.Measurement:
    recorded = rounds if rounds is not None else [*latency_rounds(PAIR, 6), evaluation_round(list(PAIR))]
    settings: dict[str, object] = {"correct": {"original": 1900, "fast": 1899}, **fields}
    return build_measurement(given(list(PAIR), recorded, device=DEVICE, **settings))


def test_every_figure_of_time_gives_way_to_the_reason() -> None:
    measurement = emulated(
        [*latency_rounds(PAIR, 6), evaluation_round(list(PAIR)), energy_round(dict.fromkeys(PAIR, 0.1))]
    )
    for variant in measurement.variants:
        for name in ("p50_latency", "p90_latency", "model_load", "first_inference"):
            estimate = getattr(variant, name)
            assert not estimate.HasField("value")
            assert estimate.reason == NOT_A_LATENCY
        for name in ("peak_memory", "energy"):
            estimate = getattr(variant, name)
            assert not estimate.HasField("value")
            assert estimate.reason == NOT_ITS_OWN
        assert not variant.latency_quantiles_ns
        assert not variant.rounds
        assert not variant.energy_readings
        assert not variant.memory.phases
        assert variant.memory.reason == NOT_ITS_OWN
        assert not variant.on_pareto_front


def test_figures_stay_unsaid_when_the_device_is_described_as_real_later() -> None:
    rounds = latency_rounds(PAIR, 6)
    for one in rounds:
        for block in one.blocks:
            block.circumstances.add(name="emulated_by", value=QEMU)
    later = common_pb2.DeviceDescription(device_id="d1", name="arm")
    measurement = build_measurement(given(list(PAIR), rounds, device=later))
    assert all(variant.p50_latency.reason == NOT_A_LATENCY for variant in measurement.variants)
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE
    assert measurement.device.emulated_by == QEMU
    assert later.emulated_by == "", "what the device says of itself now is left alone"


def test_accuracy_size_and_the_count_of_samples_are_said() -> None:
    fast = emulated().variants[1]
    assert fast.accuracy.value == pytest.approx(1899 / 2000)
    assert fast.accuracy_drop.HasField("value")
    assert fast.size_bytes == size_of("fast")
    assert fast.sample_count == 600


def test_a_clear_difference_of_times_decides_nothing() -> None:
    measurement = emulated()
    fast = measurement.variants[1]
    assert fast.comparison == measurement_pb2.COMPARISON_VERDICT_UNDECIDED
    assert not fast.speedup.HasField("value")
    assert fast.speedup.reason == NOT_A_LATENCY
    assert f"undecided: {NOT_A_LATENCY}" in fast.notes
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE
    assert measurement.decision.label == ""
    assert measurement.decision.sentence == (
        f"No decision on arm: it is emulated ({QEMU}), so only accuracy and size are known of it; "
        "measure on a real device."
    )


@pytest.mark.parametrize("text", ["p50<1h", "p90<1ns", "speedup>1.5", "load<1ns", "memory<1B", "energy<1J"])
def test_a_requirement_on_what_is_not_said_is_undecided(text: str) -> None:
    measurement = emulated(requirements=[text.replace("1h", "3600s")])
    judged = [one for variant in measurement.variants for one in variant.requirements if not variant.is_reference]
    assert [one.verdict for one in judged] == [measurement_pb2.REQUIREMENT_VERDICT_UNDECIDED]
    assert "emulation" in judged[0].because
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE


def test_what_accuracy_or_size_settles_is_settled_and_still_nothing_is_shipped() -> None:
    met = emulated(requirements=["size<1MB"])
    assert met.variants[1].requirements[0].verdict == measurement_pb2.REQUIREMENT_VERDICT_MEETS
    assert met.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE
    unmet = emulated(requirements=["accuracy>99%"])
    assert unmet.decision.kind == measurement_pb2.DECISION_KIND_UNMET


def test_what_runs_cannot_be_told_from_time_is_warned_of_once() -> None:
    jumping = latency_rounds(PAIR, 12, segments=[0] * 6 + [1] * 6, slower_from={1: 3.0})
    for one in jumping:
        for block in one.blocks:
            block.warmup_steady = False
            block.notes.append("latency rises: Mann-Kendall p = 0.001")
    measurement = emulated(jumping, correct=None)
    assert len(measurement.warnings) == 2
    assert QEMU in measurement.warnings[0]
    assert "--task" in measurement.warnings[1]
    assert not any("Mann-Kendall" in note for variant in measurement.variants for note in variant.notes)


def test_the_time_of_a_build_on_the_device_is_left_out() -> None:
    built = result_pb2.BlockResult(
        artifact_digest=digest_of("fast"), label="fast", status=result_pb2.BLOCK_STATUS_OK, build_ns=5_000_000
    )
    prepared = round_of(result_pb2.PASS_PREPARATION, 0, [built])
    real = build_measurement(given(list(PAIR), [prepared, *latency_rounds(PAIR, 6)]))
    assert real.variants[1].HasField("build_time")
    assert not emulated([prepared, *latency_rounds(PAIR, 6)]).variants[1].HasField("build_time")


def test_a_model_that_fails_under_emulation_is_said_to_fail() -> None:
    failures = {(index, label): CRASH for index in range(6) for label in ("original",)}
    measurement = emulated(latency_rounds(PAIR, 6, failures=failures), correct=None)
    assert measurement.variants[0].failure_status == result_pb2.BLOCK_STATUS_CRASHED
    assert "SIGSEGV" in measurement.decision.sentence


def test_the_fewest_rounds_are_enough() -> None:
    policy = StopPolicy.of(request_of(tuple(PAIR), requirements=["p50<1ms"]), emulated_by=QEMU)
    first = policy.decide([])
    assert not first.stop
    assert first.round_count == 6
    assert not policy.decide(latency_rounds(PAIR, 5)).stop
    noisy = policy.decide(latency_rounds({"original": 1.03e6, "fast": 1e6}, 6, wobble=0.3))
    assert noisy.stop
    assert noisy.reason == (
        f"6 rounds show that every model runs, and times are not read (measured under emulation ({QEMU}))"
    )

"""What a measurement says about planted rounds: the truth, and nothing where nothing is known."""

from __future__ import annotations

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard_protocol.v1 import common_pb2, measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import (
    MIB,
    NO_SENSOR,
    energy_round,
    evaluation_round,
    given,
    latency_rounds,
    outputs_with,
    size_of,
)

THREE = {"original": 2e6, "fast": 1e6, "slow": 3e6}
PAIR = {"original": 2e6, "fast": 1e6}
CRASH = (result_pb2.BLOCK_STATUS_CRASHED, "the worker died of SIGSEGV; load the model in a debugger")


def variant(measurement: measurement_pb2.Measurement, label: str) -> measurement_pb2.VariantMeasurement:
    return next(one for one in measurement.variants if one.label == label)


def test_the_planted_truth_lies_within_every_interval() -> None:
    measurement = build_measurement(given(list(THREE), latency_rounds(THREE, 12)))
    for label, truth_ns in THREE.items():
        found = variant(measurement, label)
        assert found.p50_latency.low <= truth_ns <= found.p50_latency.high
        assert found.p50_latency.observation_count == 12
        assert found.p50_latency.value < found.p90_latency.value
        assert found.model_load.value == pytest.approx(5e6, rel=0.01)
        assert found.first_inference.value == pytest.approx(2e6, rel=0.01)
        assert found.peak_memory.value == 10 * MIB
        assert found.sample_count == 1200
        assert len(found.rounds) == 12
        assert len(found.latency_quantiles_ns) == 101
        assert list(found.latency_quantiles_ns) == sorted(found.latency_quantiles_ns)
        assert found.runtime_version == "1.32.0"
    assert measurement.round_count == 12
    assert measurement.segment_count == 1
    assert measurement.finished_at.ToNanoseconds() > measurement.started_at.ToNanoseconds()


def test_comparisons_are_with_the_first_artifact_and_paired_by_round() -> None:
    measurement = build_measurement(given(list(THREE), latency_rounds(THREE, 12)))
    assert variant(measurement, "fast").comparison == measurement_pb2.COMPARISON_VERDICT_FASTER
    assert variant(measurement, "slow").comparison == measurement_pb2.COMPARISON_VERDICT_SLOWER
    reference = variant(measurement, "original")
    assert reference.is_reference
    assert reference.comparison == measurement_pb2.COMPARISON_VERDICT_UNSPECIFIED
    fast = variant(measurement, "fast").speedup
    assert fast.low <= 2.0 <= fast.high
    # Each round as a whole is off by 1 %; paired, that cancels out and only the launches' 0.2 % remain.
    assert (fast.high - fast.low) / 2 / fast.value < 0.005


def test_two_copies_of_one_model_are_never_called_different() -> None:
    truth = {"original": 1e6, "again": 1e6}
    for seed in range(10):
        measurement = build_measurement(given(list(truth), latency_rounds(truth, 10, seed=seed)))
        verdict = variant(measurement, "again").comparison
        assert verdict in (
            measurement_pb2.COMPARISON_VERDICT_NO_DIFFERENCE,
            measurement_pb2.COMPARISON_VERDICT_UNDECIDED,
        )


def test_failed_blocks_are_counted_and_never_averaged_in() -> None:
    killed = {(index, "fast"): CRASH for index in (1, 4)}
    clean = build_measurement(given(list(PAIR), latency_rounds(PAIR, 8)))
    measurement = build_measurement(given(list(PAIR), latency_rounds(PAIR, 8, failures=killed)))
    fast = variant(measurement, "fast")
    assert fast.failed_block_count == 2
    assert not fast.HasField("failure")
    assert fast.p50_latency.observation_count == 6
    assert [one.round_index for one in fast.rounds] == [0, 2, 3, 5, 6, 7]
    assert fast.p50_latency.value == pytest.approx(variant(clean, "fast").p50_latency.value, rel=0.02)
    assert variant(measurement, "original").p50_latency.observation_count == 8


def test_only_rounds_in_which_both_ran_are_compared() -> None:
    failures = {(0, "original"): CRASH, (3, "fast"): CRASH, (5, "fast"): CRASH}
    measurement = build_measurement(given(list(PAIR), latency_rounds(PAIR, 8, failures=failures)))
    assert variant(measurement, "fast").speedup.observation_count == 5


def test_a_variant_that_never_ran_says_why_and_the_others_have_their_figures() -> None:
    failures = {(index, "fast"): CRASH for index in range(6)}
    measurement = build_measurement(given(list(PAIR), latency_rounds(PAIR, 6, failures=failures)))
    fast = variant(measurement, "fast")
    assert fast.failure_status == result_pb2.BLOCK_STATUS_CRASHED
    assert fast.failure.message == CRASH[1]
    for figure in (fast.p50_latency, fast.p90_latency, fast.speedup, fast.model_load, fast.peak_memory):
        assert not figure.HasField("value")
        assert "SIGSEGV" in figure.reason
    assert "SIGSEGV" in fast.memory.reason
    assert fast.comparison == measurement_pb2.COMPARISON_VERDICT_UNSPECIFIED
    assert variant(measurement, "original").p50_latency.HasField("value")
    assert "fast" in measurement.decision.sentence


def test_a_reference_that_never_ran_leaves_speedups_unknown_with_its_reason() -> None:
    failures = {(index, "original"): CRASH for index in range(6)}
    measurement = build_measurement(given(list(PAIR), latency_rounds(PAIR, 6, failures=failures)))
    fast = variant(measurement, "fast")
    assert fast.p50_latency.HasField("value")
    assert not fast.speedup.HasField("value")
    assert "SIGSEGV" in fast.speedup.reason
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE


def test_before_the_first_round_everything_is_unknown_with_a_reason() -> None:
    measurement = build_measurement(given(["original"], []))
    found = measurement.variants[0]
    assert found.p50_latency.reason == "no round was measured"
    assert found.memory.reason == "no round was measured"
    assert not found.HasField("failure")
    assert not measurement.HasField("started_at")
    assert measurement.decision.sentence


def test_accuracy_and_its_drop_are_paired_by_sample() -> None:
    rounds = [evaluation_round(list(PAIR)), *latency_rounds(PAIR, 6)]
    measurement = build_measurement(given(list(PAIR), rounds, correct={"original": 1800, "fast": 1780}))
    original, fast = measurement.variants
    assert (original.correct_count, original.evaluated_count) == (1800, 2000)
    assert original.accuracy.value == pytest.approx(0.9)
    assert original.accuracy.low < 0.9 < original.accuracy.high
    assert (original.accuracy_drop.value, original.accuracy_drop.low, original.accuracy_drop.high) == (0, 0, 0)
    assert fast.accuracy_drop.value == pytest.approx(1.0)
    # 20 of 2000 samples went from right to wrong and none back: the unpaired interval would be four times as wide.
    assert fast.accuracy_drop.high - fast.accuracy_drop.low < 1.2
    assert measurement.task_name == "digits"
    assert "fast was evaluated" in fast.notes


def test_no_task_is_a_warning_and_a_reason_not_an_accuracy_of_zero() -> None:
    measurement = build_measurement(given(list(PAIR), latency_rounds(PAIR, 6)))
    assert any("--task" in warning for warning in measurement.warnings)
    for found in measurement.variants:
        assert not found.accuracy.HasField("value")
        assert "--task" in found.accuracy.reason
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE


def test_an_evaluation_that_failed_is_the_reason_of_the_missing_accuracy() -> None:
    wrong = (result_pb2.BLOCK_STATUS_USER_ERROR, "the data has 3 channels and the model takes 1")
    rounds = [evaluation_round(list(PAIR), {"fast": wrong}), *latency_rounds(PAIR, 6)]
    measurement = build_measurement(given(list(PAIR), rounds, correct={"original": 1800}))
    fast = variant(measurement, "fast")
    assert fast.accuracy.reason == wrong[1]
    assert not fast.accuracy_drop.HasField("value")
    assert fast.p50_latency.HasField("value")


def test_an_evaluation_that_did_not_run_is_said_so() -> None:
    measurement = build_measurement(given(["original"], latency_rounds({"original": 1e6}, 3), correct={}))
    assert measurement.variants[0].accuracy.reason == "the evaluation did not run"


def test_a_faster_variant_with_its_accuracy_is_the_one_to_ship() -> None:
    rounds = [evaluation_round(list(THREE)), *latency_rounds(THREE, 8)]
    correct = dict.fromkeys(THREE, 1800)
    measurement = build_measurement(given(list(THREE), rounds, correct=correct))
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_SHIP
    assert measurement.decision.label == "fast"
    assert "pi5" in measurement.decision.sentence


def test_a_fast_variant_that_lost_its_accuracy_is_not_shipped() -> None:
    rounds = [evaluation_round(list(PAIR)), *latency_rounds(PAIR, 8)]
    measurement = build_measurement(given(list(PAIR), rounds, correct={"original": 1800, "fast": 1500}))
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_KEEP_ORIGINAL


def test_the_pareto_front_is_of_accuracy_against_latency() -> None:
    rounds = [evaluation_round(list(THREE)), *latency_rounds(THREE, 8)]
    measurement = build_measurement(given(list(THREE), rounds, correct={"original": 1900, "fast": 1500, "slow": 1500}))
    marks = {one.label: one.on_pareto_front for one in measurement.variants}
    assert marks == {"original": True, "fast": True, "slow": False}


def test_without_accuracy_the_front_is_of_size_against_latency() -> None:
    measurement = build_measurement(given(list(THREE), latency_rounds(THREE, 8)))
    marks = {one.label: one.on_pareto_front for one in measurement.variants}
    assert size_of("original") < size_of("fast")
    assert marks == {"original": True, "fast": True, "slow": False}


def test_requirements_are_held_against_whole_intervals() -> None:
    rounds = [evaluation_round(list(THREE)), *latency_rounds(THREE, 8)]
    required = ["p90<1.5ms", "drop<1pp", "speedup>1.5x", "memory<20MiB", "size<1KB"]
    measurement = build_measurement(
        given(list(THREE), rounds, correct=dict.fromkeys(THREE, 1800), requirements=required)
    )
    meets, fails = measurement_pb2.REQUIREMENT_VERDICT_MEETS, measurement_pb2.REQUIREMENT_VERDICT_FAILS
    fast = {one.requirement: one.verdict for one in variant(measurement, "fast").requirements}
    assert fast == dict.fromkeys(required, meets)
    slow = {one.requirement: one for one in variant(measurement, "slow").requirements}
    assert slow["p90<1.5ms"].verdict == fails
    assert slow["speedup>1.5x"].verdict == fails
    assert "p90 is" in slow["p90<1.5ms"].because
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_SHIP
    assert measurement.decision.label == "fast"


def test_a_requirement_that_none_meets_names_the_nearest() -> None:
    measurement = build_measurement(given(list(PAIR), latency_rounds(PAIR, 8), requirements=["p50<0.5ms"]))
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_UNMET
    assert measurement.decision.label == "fast"


def test_a_requirement_within_the_interval_is_undecided() -> None:
    truth = {"original": 1e6}
    rounds = latency_rounds(truth, 6, wobble=0.05)
    measurement = build_measurement(given(["original"], rounds, requirements=["p50<1ms"]))
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_UNDECIDED


def test_a_jump_between_segments_is_a_warning() -> None:
    segments = [0] * 6 + [1] * 6
    rounds = latency_rounds({"original": 1e6}, 12, segments=segments, slower_from={1: 1.3})
    measurement = build_measurement(given(["original"], rounds))
    assert measurement.segment_count == 2
    assert any("original" in one and "segment" in one for one in measurement.warnings)


def test_segments_alike_are_no_warning() -> None:
    rounds = latency_rounds({"original": 1e6}, 12, segments=[0] * 6 + [1] * 6)
    measurement = build_measurement(given(["original"], rounds))
    assert measurement.segment_count == 2
    assert not any("segment" in one for one in measurement.warnings)


def test_blocks_that_never_got_steady_are_counted_in_a_warning() -> None:
    rounds = latency_rounds({"original": 1e6}, 6)
    for one in rounds[:2]:
        one.blocks[0].warmup_steady = False
    measurement = build_measurement(given(["original"], rounds))
    assert any("2 of 6 blocks" in warning for warning in measurement.warnings)


def test_notes_stand_once_and_drift_is_counted() -> None:
    rounds = latency_rounds({"original": 1e6}, 6)
    for one in rounds:
        one.blocks[0].notes.append("one thread was used")
    for one in rounds[:4]:
        one.blocks[0].notes.append(f"latency rose by {one.round_index} % (Mann-Kendall test)")
    measurement = build_measurement(given(["original"], rounds))
    notes = list(measurement.variants[0].notes)
    assert notes.count("one thread was used") == 1
    assert any("4 of 6 blocks" in note for note in notes)
    assert len(notes) == 2


def test_energy_is_over_the_energy_blocks() -> None:
    rounds = [*latency_rounds(PAIR, 6), energy_round({"original": 0.004, "fast": None}, reason="the counter wrapped")]
    measurement = build_measurement(given(list(PAIR), rounds))
    original, fast = measurement.variants
    assert original.energy.value == pytest.approx(0.004)
    assert [one.name for one in original.energy_readings] == ["package_energy", "energy_per_inference"]
    assert not fast.energy.HasField("value")
    assert fast.energy.reason == "the counter wrapped"


def test_energy_of_one_rail_never_stands_in_for_that_of_the_module() -> None:
    rounds = latency_rounds({"original": 1e6}, 6)
    for module_j in (0.010, None, 0.012):
        energy = energy_round({"original": module_j}, reason="no sample for 2 s")
        module = next(one for one in energy.blocks[0].readings if one.name == "energy_per_inference")
        module.source, module.scope = "VDD_IN", common_pb2.READING_SCOPE_MODULE
        energy.blocks[0].readings.add(
            name="energy_per_inference",
            unit="J",
            value=0.001,
            source="VDD_SOC",
            scope=common_pb2.READING_SCOPE_BOARD_RAILS,
        )
        rounds.append(energy)
    (original,) = build_measurement(given(["original"], rounds)).variants
    assert original.energy.value == pytest.approx(0.011, rel=0.01)


def test_energy_that_the_device_cannot_read_says_what_was_looked_at() -> None:
    device = common_pb2.DeviceDescription(device_id="d1e2f3a4", name="pi5")
    device.meters.add(name="power", unit="W", status=common_pb2.READING_STATUS_UNAVAILABLE, reason=NO_SENSOR)
    measurement = build_measurement(given(["original"], latency_rounds({"original": 1e6}, 6), device=device))
    assert measurement.variants[0].energy.reason == NO_SENSOR


def test_energy_that_was_not_run_is_no_missing_sensor() -> None:
    device = common_pb2.DeviceDescription(device_id="d1e2f3a4", name="pi5")
    device.meters.add(name="power", unit="W", status=common_pb2.READING_STATUS_MEASURED, value=3.0)
    measurement = build_measurement(given(["original"], latency_rounds({"original": 1e6}, 6), device=device))
    assert measurement.variants[0].energy.reason == "the energy pass did not run"
    bare = build_measurement(given(["original"], latency_rounds({"original": 1e6}, 6)))
    assert bare.variants[0].energy.reason == "the device described no power meter"


def test_memory_is_the_median_over_rounds_by_phase() -> None:
    rounds = latency_rounds({"original": 1e6}, 5)
    for extra, one in enumerate(rounds):
        one.blocks[0].memory.phases[1].resident_bytes = (55 + extra) * MIB
        one.blocks[0].memory.peak_resident_bytes = (60 + extra) * MIB
    memory = build_measurement(given(["original"], rounds)).variants[0].memory
    assert [phase.name for phase in memory.phases] == ["imported", "loaded"]
    assert memory.phases[1].resident_bytes == 57 * MIB
    assert memory.phases[1].anonymous_bytes == 20 * MIB
    assert not memory.phases[1].HasField("file_bytes")
    assert memory.peak_resident_bytes == 62 * MIB


def test_memory_that_was_not_read_has_the_devices_reason() -> None:
    rounds = latency_rounds({"original": 1e6}, 5)
    for one in rounds:
        one.blocks[0].memory.Clear()
        one.blocks[0].memory.reason = "no /proc here"
    found = build_measurement(given(["original"], rounds)).variants[0]
    assert found.peak_memory.reason == "no /proc here"
    assert found.memory.reason == "no /proc here"


def test_load_times_that_were_not_taken_are_unknown() -> None:
    rounds = latency_rounds({"original": 1e6}, 5)
    for one in rounds:
        one.blocks[0].ClearField("model_load_ns")
    found = build_measurement(given(["original"], rounds)).variants[0]
    assert not found.model_load.HasField("value")
    assert found.first_inference.HasField("value")


def test_answers_of_another_number_than_labels_are_the_reason_of_a_missing_accuracy() -> None:
    import dataclasses

    import numpy as np

    measured = given(["original"], latency_rounds({"original": 1e6}, 3), correct={"original": 10}, sample_count=20)
    short = {digest: outputs_with(np.arange(5), 5) for digest in measured.outputs}
    (found,) = build_measurement(dataclasses.replace(measured, outputs=short)).variants
    assert not found.accuracy.HasField("value")
    assert "5 answers from the device" in found.accuracy.reason
    assert found.p50_latency.HasField("value")


SOC, GPU = common_pb2.READING_SCOPE_SOC, common_pb2.READING_SCOPE_GPU_BOARD


def energy_of(providers: list[str], **joules: float | None) -> measurement_pb2.VariantMeasurement:
    """Return the variant whose device read these energies, by scope."""
    energy = result_pb2.RoundResult(pass_kind=result_pb2.PASS_ENERGY)
    block = energy.blocks.add(label="original", status=result_pb2.BLOCK_STATUS_OK, providers=providers)
    for scope, value in joules.items():
        reading = block.readings.add(name="energy_per_inference", unit="J", source=scope)
        reading.scope = {"soc": SOC, "gpu": GPU}[scope]
        if value is None:
            reading.reason = f"permission denied on {scope}"
        else:
            reading.value = value
    (original,) = build_measurement(given(["original"], [*latency_rounds({"original": 1e6}, 6), energy])).variants
    return original


@pytest.mark.parametrize("provider", ["CUDAExecutionProvider", "TensorrtExecutionProvider"])
def test_a_model_on_the_gpu_has_the_energy_of_the_gpu(provider: str) -> None:
    assert energy_of([provider, "CPUExecutionProvider"], soc=0.002, gpu=0.030).energy.value == pytest.approx(0.030)
    assert energy_of([provider], soc=0.002).energy.value == pytest.approx(0.002)


def test_a_gpu_that_rests_beside_a_model_on_the_processor_is_not_its_energy() -> None:
    assert energy_of(["CPUExecutionProvider"], gpu=0.030, soc=0.002).energy.value == pytest.approx(0.002)
    denied = energy_of([], gpu=0.030, soc=None).energy
    assert (denied.HasField("value"), denied.reason) == (False, "permission denied on soc")
    alone = energy_of([], gpu=0.030).energy
    assert not alone.HasField("value")
    assert alone.reason == "only an NVIDIA GPU's energy can be read here, and the model did not run on it"

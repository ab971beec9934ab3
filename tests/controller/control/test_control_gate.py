"""The gate from options to a plan with its defaults, and what a job does with rounds that were not valid."""

from __future__ import annotations

import asyncio

import pytest

from steelyard.control.gate_plan import DEFAULT_TEMPERATURE_RISE_C, DEFAULT_WAIT_MS, GateOptions, complete_gate
from steelyard.control.job_end import JobEnd
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.control.round_check import refuse_nonsense
from steelyard.control.vain_rounds import refuse_when_nothing_is_valid, refuse_when_nothing_runs
from steelyard.errors import SteelyardError, UsageError
from steelyard_protocol.v1 import control_pb2, plan_pb2, result_pb2
from tests.controller.analysis.planted_rounds import latency_rounds
from tests.controller.control.test_measurement_job import Rounds, finished, running, tell

CONTENDED = result_pb2.VALIDITY_VERDICT_CONTENDED
INCOMPLETE = result_pb2.VALIDITY_VERDICT_INCOMPLETE
MIB = 1024 * 1024


def plan_with(**options: object) -> plan_pb2.Plan:
    artifact = control_pb2.Artifact(digest="d" * 64, name="net", size_bytes=10 * MIB)
    return build_plan([artifact], MeasurementOptions(gate=GateOptions(**options)))  # type: ignore[arg-type]


def spoilt(result: result_pb2.RoundResult, verdict: int = CONTENDED, why: str = "others had it") -> None:
    """Make the first block of a round one that was not valid, as its device says it."""
    block = result.blocks[0]
    block.status = result_pb2.BLOCK_STATUS_NOT_VALID
    block.error.reason, block.error.message = "contended", why
    block.validity.verdict = verdict  # type: ignore[assignment]
    block.validity.evidence.append(why)


def test_by_default_a_gate_waits_for_what_leaves_each_thread_a_core() -> None:
    plan = plan_with()
    complete_gate(plan, 4)
    gate = plan.gate
    assert gate.most_temperature_rise_c == DEFAULT_TEMPERATURE_RISE_C
    assert gate.most_other_load == pytest.approx(3.1)
    assert gate.least_available_bytes == 84 * MIB
    assert gate.longest_wait_ms == DEFAULT_WAIT_MS
    unset = ("most_temperature_c", "least_charge")
    assert not any(gate.HasField(name) for name in unset)  # type: ignore[arg-type]
    assert gate.governor == ""
    assert not plan.timing.HasField("most_contention")


@pytest.mark.parametrize(
    ("cores", "threads", "streams", "load"), [(1, 1, 0, 0.1), (2, 1, 0, 1.1), (4, 4, 0, 0.1), (8, 2, 3, 2.1)]
)
def test_the_load_of_others_that_is_allowed_follows_from_the_threads(
    cores: int, threads: int, streams: int, load: float
) -> None:
    plan = plan_with()
    plan.artifacts[0].runtime.intra_op_thread_count = threads
    plan.mode.stream_count = streams
    complete_gate(plan, cores)
    assert plan.gate.most_other_load == pytest.approx(load)


def test_of_a_device_whose_cores_are_not_known_the_load_is_not_looked_at() -> None:
    plan = plan_with()
    complete_gate(plan, 0)
    assert not plan.gate.HasField("most_other_load")


def test_what_a_person_says_stays() -> None:
    plan = plan_with(
        wait_s=30, max_temperature_c=60, max_other_load=0.0, governor="performance", min_charge=0.3, max_contention=0.1
    )
    complete_gate(plan, 4)
    gate = plan.gate
    assert (gate.longest_wait_ms, gate.most_temperature_c, gate.most_other_load) == (30_000, 60.0, 0.0)
    assert (gate.governor, gate.least_charge, plan.timing.most_contention) == ("performance", 0.3, 0.1)


def test_no_gate_is_no_gate() -> None:
    plan = plan_with(wanted=False, max_contention=0.5)
    complete_gate(plan, 4)
    assert not plan.HasField("gate")
    assert plan.timing.most_contention == 0.5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"wanted": False, "governor": "performance"}, "--governor"),
        ({"wanted": False, "wait_s": 5.0}, "--gate-wait"),
        ({"max_temperature_c": 500.0}, "--max-temperature 500 C"),
        ({"max_other_load": -1.0}, "--max-other-load -1 cores"),
        ({"min_charge": 30.0}, "--min-charge 30"),
        ({"max_contention": float("nan")}, "--max-contention nan"),
        ({"governor": "no such; thing"}, "'no such; thing'"),
        ({"wait_s": 1e9}, "--gate-wait 1e\\+09 s"),
    ],
)
def test_a_gate_that_no_device_can_honour_is_refused_with_the_flag(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        GateOptions(**options)  # type: ignore[arg-type]


def test_a_gate_of_a_program_is_checked_too() -> None:
    plan = plan_with()
    plan.gate.least_charge = 7.0
    with pytest.raises(UsageError, match="least_charge 7"):
        complete_gate(plan, 4)


async def test_a_contended_round_is_repeated_and_the_job_ends_well() -> None:
    rounds = latency_rounds({"original": 1e6}, 4)
    spoilt(rounds[1])

    async def reload() -> Rounds:
        return []

    task, fleet, link = await running(reload)
    for result in rounds[:3]:
        tell(fleet, result)
    fleet.tell_job("job-0001", finished(), device_id="device-1")
    await asyncio.sleep(0.05)
    assert not task.done()
    tell(fleet, rounds[3])
    await asyncio.wait_for(task, 60)
    assert link is not None


async def test_without_one_valid_round_the_job_ends_invalid_with_the_evidence() -> None:
    rounds = latency_rounds({"original": 1e6}, 6)
    for result in rounds:
        spoilt(result)

    async def reload() -> Rounds:
        return rounds

    task, fleet, _ = await running(reload)
    fleet.tell_job("job-0001", finished(), device_id="device-1")
    with pytest.raises(JobEnd, match=r"no round was valid: 6 of 6 rounds .* original: others had it") as caught:
        await asyncio.wait_for(task, 60)
    assert (caught.value.state, caught.value.reason) == (control_pb2.JOB_STATE_INVALID, "not_valid")


def test_a_device_that_never_cools_is_not_waited_for_again_and_again() -> None:
    rounds = latency_rounds({"original": 1e6}, 3)
    for result in rounds:
        spoilt(result, INCOMPLETE, "not begun after 600 s of waiting: cpu 80.0 C, wants 60.0 C")
    with pytest.raises(JobEnd, match=r"wants 60\.0 C") as caught:
        refuse_when_nothing_runs(rounds)
    assert caught.value.state == control_pb2.JOB_STATE_INVALID


def test_what_was_disturbed_may_pass() -> None:
    rounds = latency_rounds({"original": 1e6}, 3)
    for result in rounds:
        spoilt(result)
    refuse_when_nothing_runs(rounds)
    refuse_when_nothing_is_valid(latency_rounds({"original": 1e6}, 2), "enough")
    with pytest.raises(JobEnd, match="no round was valid: enough"):
        refuse_when_nothing_is_valid(rounds, "enough")


@pytest.mark.parametrize(("field", "value"), [("waited_ms", -1), ("run_delay_ns", -5), ("steal_ns", 2**60)])
def test_a_validity_that_no_device_could_tell_is_not_recorded(field: str, value: int) -> None:
    result = latency_rounds({"original": 1e6}, 1)[0]
    setattr(result.blocks[0].validity, field, value)
    with pytest.raises(SteelyardError, match=f"{field} of its validity"):
        refuse_nonsense(result)


def test_endless_evidence_is_not_recorded() -> None:
    result = latency_rounds({"original": 1e6}, 1)[0]
    result.blocks[0].validity.evidence.extend(["hot"] * 1001)
    with pytest.raises(SteelyardError, match="sentences on validity"):
        refuse_nonsense(result)

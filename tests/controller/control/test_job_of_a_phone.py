"""How a job ends when its device cannot evaluate, kills its workers, or runs them in the background."""

from __future__ import annotations

import asyncio

import pytest

from steelyard.control.job_end import JobEnd
from steelyard.control.vain_rounds import refuse_when_nothing_runs
from steelyard_protocol.v1 import control_pb2, result_pb2
from tests.controller.analysis.planted_rounds import evaluation_round, latency_rounds
from tests.controller.control.test_measurement_job import Rounds, finished, running

LABELS = ["original"]


async def end_of(rounds: Rounds) -> JobEnd:
    async def reload() -> Rounds:
        return rounds

    task, fleet, _ = await running(reload)
    fleet.tell_job("job-0001", finished(), device_id="device-1")
    with pytest.raises(JobEnd) as caught:
        await asyncio.wait_for(task, 60)
    return caught.value


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (result_pb2.BLOCK_STATUS_NOT_VALID, control_pb2.JOB_STATE_INVALID),
        (result_pb2.BLOCK_STATUS_KILLED_BY_OS, control_pb2.JOB_STATE_AGENT_ERROR),
    ],
)
async def test_three_rounds_that_the_phone_spoilt_end_the_job_as_what_they_are(
    status: result_pb2.BlockStatus.ValueType, state: control_pb2.JobState.ValueType
) -> None:
    spoilt = {(index, "original"): (status, "bring Termux to the foreground") for index in range(3)}
    end = await end_of(latency_rounds({"original": 1e6}, 3, failures=spoilt))
    assert end.state == state
    assert "bring Termux to the foreground" in str(end)


@pytest.mark.parametrize(("reason", "goes_on"), [("accuracy_not_measured", True), ("unsupported_op", False)])
def test_a_device_that_cannot_evaluate_is_timed_all_the_same(reason: str, goes_on: bool) -> None:
    evaluation = evaluation_round(LABELS, {"original": (result_pb2.BLOCK_STATUS_UNSUPPORTED, "no accuracy on a cable")})
    evaluation.blocks[0].error.reason = reason
    if goes_on:
        refuse_when_nothing_runs([evaluation])
    else:
        with pytest.raises(JobEnd, match="no accuracy"):
            refuse_when_nothing_runs([evaluation])

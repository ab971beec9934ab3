"""A measurement's own task, fed by hand: what it does when news of a round got lost, and when nothing can run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from steelyard.analysis.stop import StopPolicy
from steelyard.control import measurement_job
from steelyard.control.job_end import JobEnd
from steelyard.control.measurement_job import JobContext, MeasurementJob
from steelyard.fleet.inbox import RoundRecorded
from steelyard.fleet.registry import DeviceLink, Fleet
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2, session_pb2
from tests.controller.analysis.planted_rounds import latency_rounds, request_of

Rounds = list[result_pb2.RoundResult]
LEASE = session_pb2.Lease(job_id="job-0001", attempt=1, epoch=7)


async def running(
    reload: Callable[[], Awaitable[Rounds]], **fields: Any
) -> tuple[asyncio.Task[None], Fleet, DeviceLink]:
    """Start a job of three rounds on a connected device that has granted its lease."""
    fleet = Fleet()
    link = DeviceLink("device-1", "pi5")
    await fleet.attach(link, session_pb2.Hello(device=common_pb2.DeviceDescription(device_id="device-1")))

    async def note(*_words: object) -> None:
        """Nobody reads these events."""

    request = request_of(["original"], min_round_count=3, max_round_count=3)
    context = JobContext(fleet=fleet, note=note, decide=StopPolicy.of(request).decide, reload=reload, **fields)
    job = MeasurementJob(job_id="job-0001", device_id="device-1", plan=request.plan, context=context, recorded=[])
    task = asyncio.create_task(job.run())
    await asyncio.sleep(0)
    fleet.tell_job("job-0001", session_pb2.LeaseAnswer(job_id="job-0001", attempt=1, lease=LEASE), device_id="device-1")
    return task, fleet, link


def finished() -> session_pb2.GrantFinished:
    return session_pb2.GrantFinished(job_id="job-0001", attempt=1, epoch=7, pass_kind=result_pb2.PASS_LATENCY)


def tell(fleet: Fleet, result: result_pb2.RoundResult) -> None:
    key = result_pb2.ResultKey(job_id="job-0001", attempt=1, pass_kind=result.pass_kind, round_index=result.round_index)
    fleet.tell_job("job-0001", RoundRecorded(key=key, result=result), device_id="device-1")


async def test_a_round_that_was_stored_without_being_told_is_read_from_the_store() -> None:
    rounds = latency_rounds({"original": 1e6}, 3)

    looks: list[Rounds] = [rounds, []]

    async def reload() -> Rounds:
        return looks.pop()

    task, fleet, _ = await running(reload)
    tell(fleet, rounds[0])
    tell(fleet, rounds[2])
    fleet.tell_job("job-0001", finished(), device_id="device-1")
    await asyncio.wait_for(task, 60)


async def test_rounds_that_cannot_be_recorded_end_the_job_instead_of_hanging_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measurement_job, "_RECORDING_GRACE_S", 0.01)

    async def reload() -> Rounds:
        return []

    task, fleet, _ = await running(reload)
    fleet.tell_job("job-0001", finished(), device_id="device-1")
    with pytest.raises(JobEnd, match="3 rounds could not be recorded") as caught:
        await asyncio.wait_for(task, 60)
    assert caught.value.state == control_pb2.JOB_STATE_AGENT_ERROR


async def test_one_killed_worker_is_no_reason_to_end_but_three_vain_rounds_are() -> None:
    failure = (result_pb2.BLOCK_STATUS_KILLED_UNKNOWN, "the worker was killed from outside")
    last_killed = latency_rounds({"original": 1e6}, 3, failures={(2, "original"): failure})
    all_killed = latency_rounds({"original": 1e6}, 3, failures={(i, "original"): failure for i in range(3)})
    for rounds, ends_well in ((last_killed, True), (all_killed, False)):

        async def reload(rounds: Rounds = rounds) -> Rounds:
            return rounds

        task, fleet, _ = await running(reload)
        fleet.tell_job("job-0001", finished(), device_id="device-1")
        if ends_well:
            await asyncio.wait_for(task, 60)
        else:
            with pytest.raises(JobEnd, match="killed from outside"):
                await asyncio.wait_for(task, 60)


@pytest.mark.parametrize(("reason", "ends_well"), [("invalid_plan", True), ("disk_full", False)])
async def test_what_was_timed_stands_when_an_older_agent_does_not_know_a_pass_after_it(
    reason: str, ends_well: bool
) -> None:
    rounds = latency_rounds({"original": 1e6}, 3)

    async def reload() -> Rounds:
        return rounds

    task, fleet, _ = await running(reload, passes_after=(result_pb2.PASS_NUMERIC, result_pb2.PASS_OPERATORS))
    fleet.tell_job("job-0001", finished(), device_id="device-1")
    await asyncio.sleep(0.01)
    error = common_pb2.ErrorInfo(reason=reason, message="the grant names no known pass")
    fleet.tell_job("job-0001", session_pb2.JobFailed(job_id="job-0001", attempt=1, error=error), device_id="device-1")
    if ends_well:
        await asyncio.wait_for(task, 60)
    else:
        with pytest.raises(JobEnd, match="names no known pass"):
            await asyncio.wait_for(task, 60)

"""Devices whose clock is decades off: their results are those of a device whose clock is right."""

from __future__ import annotations

import time

import pytest

from steelyard.control.controller import Controller
from steelyard_protocol.v1 import control_pb2, measurement_pb2, session_pb2
from tests.controller.control.planned import add_model, ended, request_for, round_for
from tests.controller.fleet.scripted_agent import ScriptedAgent, hello_of

S = 1_000_000_000
RIGHT_NS = time.time_ns()
CLOCKS = {"1970": 5 * S, "2040": 70 * 31_557_600 * S}


async def measured(controller: Controller, name: str, now_ns: int) -> measurement_pb2.Measurement:
    """Let a device with this clock run a job; the clock is set in the middle of the second round."""
    async with ScriptedAgent(controller.agent_address, device_id=f"dev-{name}", name=name) as agent:
        hello = hello_of(agent.device_id, name)
        hello.device_now.FromNanoseconds(now_ns)
        await agent.open()
        await agent.say(hello=hello)
        await agent.wait_for("welcome")
        model = await add_model(controller)
        job_id = (await controller.jobs.submit_measurement(request_for([model], device=name))).job_id
        offer = await agent.accept_job()
        rounds = [round_for(job_id, offer.plan, index) for index in range(3)]
        for index, result in enumerate(rounds):
            result.started_at.FromNanoseconds(now_ns + index * S)
            result.finished_at.FromNanoseconds(RIGHT_NS if index == 1 else now_ns + (index + 1) * S)
        await agent.run_rounds(rounds)
        job = await ended(controller, job_id)
        assert job.state == control_pb2.JOB_STATE_RECORDED
        assert abs(job.finished_at.ToNanoseconds() - time.time_ns()) < 3600 * S
        found = await controller.results.measurement(job)
        assert abs(found.started_at.ToNanoseconds() - time.time_ns()) < 24 * 3600 * S
        assert abs(found.finished_at.ToNanoseconds() - time.time_ns()) < 24 * 3600 * S
        return found


@pytest.mark.parametrize("now_ns", CLOCKS.values(), ids=CLOCKS)
async def test_figures_do_not_depend_on_the_devices_clock(controller: Controller, now_ns: int) -> None:
    right = await measured(controller, "right", RIGHT_NS)
    wrong = await measured(controller, "wrong", now_ns)
    for one in (right, wrong):
        assert one.round_count == 3
    assert wrong.variants == right.variants
    assert wrong.decision == measurement_pb2.Decision.FromString(
        right.decision.SerializeToString().replace(b"right", b"wrong")
    )


@pytest.mark.parametrize("now_ns", CLOCKS.values(), ids=CLOCKS)
async def test_a_wrong_clock_is_told_and_the_device_goes_on(controller: Controller, now_ns: int) -> None:
    async with ScriptedAgent(controller.agent_address) as agent:
        hello = hello_of(agent.device_id, agent.name)
        hello.device_now.FromNanoseconds(now_ns)
        await agent.open()
        await agent.say(hello=hello)
        welcome_id = next(one.message_id for one in [await _welcome(agent)])
        beat = session_pb2.Heartbeat(activity="idle", heard_message_id=welcome_id, held_ns=0)
        beat.device_now.FromNanoseconds(now_ns)
        await agent.say(heartbeat=beat)
        await agent.wait_for("acknowledgement", 2)
        device = await controller.devices.find("pi5")
        offset_s = device.health.clock_offset_ms / 1000
        truth_s = (now_ns - time.time_ns()) / S
        # What the test took since then, and the bound that the round trip gave.
        assert abs(offset_s - truth_s) < 20
        assert device.health.clock_uncertainty_ms >= 1
        assert device.last_seen.seconds > RIGHT_NS // S - 60
        events, _ = await controller.shelf.events("pi5", 0, "")
        assert any(one.kind == "clock" for one in events)


async def _welcome(agent: ScriptedAgent) -> session_pb2.ConnectResponse:
    await agent.wait_for("welcome")
    return next(one for one in agent.received if one.WhichOneof("payload") == "welcome")

"""The health of a device over real sessions: a real agent, mutual TLS, and clocks that are wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from steelyard.control.controller import Controller
from steelyard.settings import Settings
from steelyard_protocol.v1 import control_pb2
from tests.support.enrolled_agent import EnrolledAgent

IN_1970_S, IN_2040_S = 17.0, 2_208_988_800.0


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    settings = Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0")
    made = Controller(settings, heartbeat_s=0.05)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def board(tmp_path: Path, controller: Controller) -> AsyncIterator[EnrolledAgent]:
    made = EnrolledAgent(tmp_path / "board")
    invitation = await controller.doors.administration.invite_device(use_count=1, valid_ms=0, tags=())
    await made.join(invitation.code)
    yield made
    await made.end()


async def until(controller: Controller, condition: Callable[[control_pb2.Device], object]) -> control_pb2.Device:
    async with asyncio.timeout(20):
        while not condition(device := await controller.devices.find("board")):
            await asyncio.sleep(0.01)
    return device


@pytest.mark.parametrize("start_s", [IN_1970_S, IN_2040_S], ids=["1970", "2040"])
async def test_the_offset_of_a_wrong_clock_is_known_within_the_round_trip(
    controller: Controller, board: EnrolledAgent, start_s: float
) -> None:
    began_s = time.time()
    board.now_s = lambda: start_s + (time.time() - began_s)
    board.start()
    device = await until(controller, lambda one: one.health.HasField("clock_uncertainty_ms"))
    truth_ms = (start_s - began_s) * 1000
    # The two sides round to milliseconds.
    assert abs(device.health.clock_offset_ms - truth_ms) <= device.health.clock_uncertainty_ms + 2
    assert abs(device.last_seen.seconds - time.time()) < 60


async def test_an_agent_that_starts_again_is_told_from_a_link_that_broke(
    controller: Controller, board: EnrolledAgent
) -> None:
    board.start()
    await until(controller, lambda one: one.online)
    presence = controller.fleet.presence(board.device_id)
    assert presence is not None
    presence.link.close()
    await until(controller, lambda one: one.online and one.health.session_count == 2)
    assert (await controller.devices.find("board")).health.restart_count == 0
    await board.end()
    await until(controller, lambda one: not one.online)
    board.start()
    device = await until(controller, lambda one: one.online and one.health.session_count == 3)
    assert (device.health.restart_count, device.health.boot_count) == (1, 0)
    events, _ = await controller.shelf.events("board", 0, "")
    kinds = [one.kind for one in reversed(events)]
    assert kinds.count("connected") == 3
    assert kinds.count("restart") == 1
    assert "left: goodbye: the agent was stopped" in [one.message for one in events]


async def test_what_is_known_of_a_device_outlives_its_session_and_the_controller(
    controller: Controller, board: EnrolledAgent, tmp_path: Path
) -> None:
    board.start()
    before = await until(controller, lambda one: one.health.HasField("clock_uncertainty_ms"))
    await board.end()
    await controller.stop()
    successor = Controller(Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0"))
    await successor.start()
    try:
        device = await successor.devices.find("board")
        assert not device.online
        assert (device.health.boot_id, device.health.run_id) == (before.health.boot_id, before.health.run_id)
        assert device.health.HasField("clock_offset_ms")
    finally:
        await successor.stop()

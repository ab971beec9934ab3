"""The commands of the agent as somebody runs them, against a controller that is restarted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.control.controller import Controller
from steelyard.settings import Settings
from steelyard_agent.enrollment.membership import membership_folders
from steelyard_protocol.v1 import control_pb2
from tests.controller.control.planned import add_model, ended, request_for
from tests.loopback.identity.conftest import MovedClock, Ports
from tests.support.anywhere import ANYWHERE
from tests.support.enrolled_agent import EnrolledAgent

WAIT_S = 60.0


def agent_command(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "steelyard_agent", *words)


async def answer(*words: str, typed: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *agent_command(*words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(typed.encode()), WAIT_S)
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.fixture
async def serving(ports: Ports, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """An agent process that joined ``ports`` by the command, its code typed, and that runs."""
    root = str(tmp_path / "board")
    code, text = await answer(
        "enroll", "-", "--name", "kitchen-pi", "--state-directory", root, typed=f"{await ports.device_code()}\n"
    )
    assert code == 0, text
    assert "this device is 'kitchen-pi' of controller" in text
    assert f"next: steelyard-agent run --state-directory {root} (" in text
    process = await asyncio.create_subprocess_exec(
        *agent_command("run", "--state-directory", root),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_device_that_joined_by_the_command_is_served_and_leaves_with_a_goodbye(
    ports: Ports, serving: asyncio.subprocess.Process
) -> None:
    fleet = ports.controller.fleet
    presence = await fleet.wait_for(lambda found: found.link.name == "kitchen-pi", WAIT_S)
    assert presence is not None
    serving.terminate()
    assert await asyncio.wait_for(serving.wait(), WAIT_S) == 0


async def test_a_job_runs_on_a_device_that_joined_by_the_command_and_its_lease_is_stored(
    ports: Ports, serving: asyncio.subprocess.Process
) -> None:
    controller = ports.controller
    assert await controller.fleet.wait_for(lambda found: found.link.name == "kitchen-pi", WAIT_S) is not None
    request = request_for([await add_model(controller)], device="kitchen-pi", gate=ANYWHERE)
    job_id = (await controller.jobs.submit_measurement(request)).job_id
    job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_RECORDED, job.error.message
    measurement = await controller.results.measurement(job)
    assert (measurement.device_name, measurement.round_count) == ("kitchen-pi", 3)
    assert measurement.variants[0].p50_latency.value > 0
    assert await controller.fence.newest(measurement.device.device_id, job_id) == 1
    assert serving.returncode is None


async def test_a_second_join_with_a_used_code_is_one_sentence_and_exit_status_4(ports: Ports, tmp_path: Path) -> None:
    code = await ports.device_code()
    assert (await answer("enroll", code, "--state-directory", str(tmp_path / "one")))[0] == 0
    status, text = await answer("enroll", code, "--state-directory", str(tmp_path / "two"))
    assert status == 4
    assert text.splitlines()[-1].startswith("steelyard-agent: the controller at ")
    assert "Traceback" not in text


async def test_a_controller_that_is_started_again_is_found_again_by_its_name(tmp_path: Path) -> None:
    """Its key for the port is made anew at each start: only the authority and the name stay."""

    def controller(secure_listen: str, enroll_listen: str) -> Controller:
        settings = Settings(
            state_directory=tmp_path / "state",
            agent_listen="127.0.0.1:0",
            secure_listen=secure_listen,
            enroll_listen=enroll_listen,
        )
        return Controller(settings, clock_ns=MovedClock())

    board = EnrolledAgent(tmp_path / "board")
    first = controller("127.0.0.1:0", "127.0.0.1:0")
    await first.start()
    try:
        await board.join(await Ports(first, MovedClock()).device_code())
        board.start()
        await board.until(lambda: first.fleet.presence(board.device_id) is not None)
    finally:
        await first.stop()
    (membership,) = [folder.read() for folder in membership_folders(board.root)]
    second = controller(membership.addresses[0], membership.enrollment_addresses[0])
    await second.start()
    try:
        await board.until(lambda: second.fleet.presence(board.device_id) is not None)
    finally:
        await board.end()
        await second.stop()

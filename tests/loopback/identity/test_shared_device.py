"""Two whole controllers, each with more jobs than one for the same real agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path

import pytest

from steelyard.control.controller import Controller
from steelyard.settings import Settings
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2
from tests.controller.control.planned import add_model, ended, request_for
from tests.loopback.identity.conftest import MovedClock, Ports
from tests.support.enrolled_agent import EnrolledAgent

NIGHTLY, INTERACTIVE = common_pb2.JOB_PRIORITY_NIGHTLY, common_pb2.JOB_PRIORITY_INTERACTIVE
ROUND_COUNT = 3


class SharedDevice:
    """A board that joined two controllers; every job has a model of its own, by which its blocks are known."""

    def __init__(self, root: Path) -> None:
        self.board = EnrolledAgent(root / "board")
        self.controllers = [
            Controller(
                Settings(state_directory=root / name, agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0"),
                clock_ns=MovedClock(),
            )
            for name in ("laptop", "night-server")
        ]
        self.jobs: dict[str, tuple[Controller, str]] = {}

    async def start(self) -> None:
        for controller in self.controllers:
            await controller.start()
            await self.board.join(await Ports(controller, MovedClock()).device_code())
        self.board.start()
        for controller in self.controllers:
            await self.board.until(lambda one=controller: one.fleet.presence(self.board.device_id) is not None)

    async def stop(self) -> None:
        async with AsyncExitStack() as stack:
            for controller in self.controllers:
                stack.push_async_callback(controller.stop)
            await self.board.end()

    async def submit(self, controller: Controller, priority: common_pb2.JobPriority.ValueType) -> str:
        model = await add_model(controller, f"net{len(self.jobs)}", seed=len(self.jobs))
        request = request_for([model], device="board", priority=priority)
        job_id = (await controller.jobs.submit_measurement(request)).job_id
        self.jobs[model.digest] = (controller, job_id)
        return job_id

    def ran(self) -> list[str]:
        """Return the job of every block that ran, in order."""
        return [self.jobs[digest][1] for digest in self.board.workers.models]

    def waiting(self) -> int:
        return len(self.board.agent.leases._claims._waiting)


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[SharedDevice]:
    made = SharedDevice(tmp_path)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def test_two_controllers_share_a_device_and_urgent_jobs_of_both_go_first(shared: SharedDevice) -> None:
    workers = shared.board.workers
    workers.hold = asyncio.Event()
    for _ in range(3):
        for controller in shared.controllers:
            await shared.submit(controller, NIGHTLY)
    await workers.started.wait()
    urgent = [await shared.submit(controller, INTERACTIVE) for controller in shared.controllers]
    # One has the device, seven wait.
    await shared.board.until(lambda: shared.waiting() == 7)
    workers.hold.set()
    for controller, job_id in shared.jobs.values():
        job = await ended(controller, job_id)
        assert job.state == control_pb2.JOB_STATE_RECORDED, job.error.message
        keys = await controller.store.call(Store.recorded_keys, job_id)
        assert [key.round_index for key in keys] == list(range(ROUND_COUNT))
    ran = shared.ran()
    # Nothing ran twice, and after the round that was running both urgent jobs came first, each as a whole.
    assert sorted(ran) == sorted([job_id for _, job_id in shared.jobs.values()] * ROUND_COUNT)
    assert set(ran[1 : 1 + 2 * ROUND_COUNT]) == set(urgent)
    assert len([job_id for job_id, _ in groupby(ran)]) == len(shared.jobs) + 1
    assert shared.board.agent.leases.held is None
    assert not shared.waiting()


async def test_a_controller_that_goes_away_while_its_job_is_next_does_not_keep_the_device(shared: SharedDevice) -> None:
    workers = shared.board.workers
    workers.hold = asyncio.Event()
    first, second = shared.controllers
    job_id = await shared.submit(first, NIGHTLY)
    await workers.started.wait()
    await shared.submit(second, INTERACTIVE)
    await shared.board.until(shared.board.agent.leases.more_urgent)
    await second.stop()
    # Whether or not its last word came through: the claim lapses.
    claims = shared.board.agent.leases._claims
    claims._clock_s = lambda: asyncio.get_running_loop().time() + 60.0
    workers.hold.set()
    assert (await ended(first, job_id)).state == control_pb2.JOB_STATE_RECORDED
    assert shared.ran() == [job_id] * ROUND_COUNT

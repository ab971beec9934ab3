"""A real agent of a test, on a state directory of its own, with workers that only pretend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from steelyard_agent.enrollment.join_code import decode_join_code
from steelyard_agent.enrollment.joining import Joined, Newcomer, join
from steelyard_agent.enrollment.membership import membership_folders
from steelyard_agent.jobs.work_policy import AnyWork, WorkPolicy
from steelyard_agent.link.agent import Agent, AgentParts
from steelyard_agent.link.backoff import Backoff
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_protocol.v1.common_pb2 import DeviceDescription
from tests.agent.jobs.fakes import DEGREES, FakeWorkers, round_tools


class EnrolledAgent:
    """Joins and runs; ``now_s`` replaces its wall clock."""

    def __init__(self, root: Path, *, now_s: Callable[[], float] = time.time) -> None:
        self.root = root
        for name in ("blobs", "outbox"):
            (root / name).mkdir(parents=True)
        self.now_s = now_s
        self.identity = IdentityFile(root / "device.json")
        self.workers = FakeWorkers()
        self.policy: WorkPolicy = AnyWork()
        self.stop = asyncio.Event()
        self.running: asyncio.Future[None] | None = None

    @property
    def device_id(self) -> str:
        return self.identity.device_id

    async def join(self, code: str, name: str = "board", *, new_authority: bool = False) -> Joined:
        newcomer = Newcomer(device_id=self.device_id, name=name, state_root=self.root, clock_s=self.now_s)
        return await join(decode_join_code(code), newcomer, new_authority=new_authority)

    def start(self) -> Agent:
        self.agent = Agent(
            AgentParts(
                memberships=membership_folders(self.root),
                look=lambda: membership_folders(self.root),
                look_s=0.02,
                description=DeviceDescription(device_id=self.device_id, name="board"),
                boot_id="boot",
                identity=self.identity,
                outbox=Outbox(self.root / "outbox"),
                cache=BlobCache(self.root / "blobs", free_bytes=lambda _folder: 10**12),
                rounds=round_tools(self.workers, self.root / "work"),
                clock_s=time.monotonic,
                wall_clock_s=self.now_s,
                free_bytes=lambda _folder: 10**12,
                read_temperature=lambda: [DEGREES],
                policy=self.policy,
                backoff=Backoff(base_s=0.01, cap_s=0.05),
            )
        )
        self.stop = asyncio.Event()
        self.running = asyncio.ensure_future(self.agent.run(self.stop))
        return self.agent

    async def end(self) -> None:
        self.stop.set()
        if self.running is not None:
            await self.running
            self.running = None

    async def until(self, condition: Callable[[], object]) -> None:
        # An agent whose hello was not answered asks again after 20 s.
        deadline = asyncio.get_running_loop().time() + 60
        while not condition():
            assert asyncio.get_running_loop().time() < deadline
            if self.running is not None and self.running.done():
                self.running.result()
            await asyncio.sleep(0.005)

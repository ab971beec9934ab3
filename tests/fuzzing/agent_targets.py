"""The agent, over a real socket, told by its controller what makes no sense: it refuses or goes on, and never ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Self

from steelyard_agent.link.address import parse_controller_address
from steelyard_agent.link.agent import Agent, AgentParts
from steelyard_agent.link.backoff import Backoff
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_protocol.v1.common_pb2 import DeviceDescription
from steelyard_protocol.v1.session_pb2 import ConnectResponse, JobCancellation
from tests.agent.jobs.fakes import DEGREES, FakeWorkers, plan_of, round_tools
from tests.fuzzing.odd_values import spoilt
from tests.support.fake_controller import FakeController

_MODEL, _DATA = b"model" * 100, b"data" * 70
_JOB = "j"


class FuzzedAgent:
    """An agent whose workers only pretend, and a controller that says what it is told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.Runner()

    def __enter__(self) -> Self:
        self._loop.run(self._start())
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._loop.run(self._end())
        finally:
            self._loop.close()

    async def _start(self) -> None:
        for name in ("blobs", "outbox"):
            (self._folder / name).mkdir(parents=True)
        self._controller = FakeController()
        model, data = (self._controller.add_blob(content) for content in (_MODEL, _DATA))
        self._words = {"job_id": (_JOB,), "artifact_digest": (model, data), "data_digest": (data, model)}
        await self._controller.start()
        identity = IdentityFile(self._folder / "device.json")
        agent = Agent(
            AgentParts(
                address=parse_controller_address(self._controller.address),
                description=DeviceDescription(device_id=identity.device_id, name="pi"),
                boot_id="boot",
                identity=identity,
                outbox=Outbox(self._folder / "outbox"),
                cache=BlobCache(self._folder / "blobs", free_bytes=lambda _folder: 10**12),
                rounds=round_tools(FakeWorkers(), self._folder / "work"),
                clock_s=time.monotonic,
                free_bytes=lambda _folder: 10**12,
                read_temperature=lambda: [DEGREES],
                backoff=Backoff(base_s=0.01, cap_s=0.05),
            )
        )
        self._stop = asyncio.Event()
        self._running = asyncio.ensure_future(agent.run(self._stop))
        await self._attached()

    async def _end(self) -> None:
        self._stop.set()
        try:
            await self._running
        finally:
            await self._controller.stop()

    def make_messages(self, random: Random) -> list[ConnectResponse]:
        """Return what a controller says in the course of a job, most of it spoilt."""
        plan = plan_of(_MODEL, evaluation=_DATA)
        offer: dict[str, Any] = {"job_id": _JOB, "attempt": 1, "plan": plan, "lease_ttl_ms": 60_000}
        grant: dict[str, Any] = {"job_id": _JOB, "attempt": 1, "epoch": 1, "pass_kind": 1, "round_count": 1}
        key: dict[str, Any] = {"job_id": _JOB, "attempt": 1, "pass_kind": 1, "round_index": 0}
        said: list[dict[str, Any]] = [
            *({"job_offer": offer}, {"job_offer": offer}, {"round_grant": grant}, {"round_grant": grant}),
            {"result_acknowledgement": {"keys": [key]}},
            {"lease_release": {"job_id": _JOB, "attempt": 1}},
            {"job_cancellation": {"job_id": _JOB, "reason": "x"}},
            {"welcome": {"controller_id": "fake", "heartbeat_interval_ms": 60_000}},
            {"acknowledgement": {"message_id": 1}},
            {"goodbye": {"reason": "x"}},
        ]
        messages = []
        for payload in random.choices(said, k=random.randint(1, 5)):
            message = ConnectResponse(**payload)
            messages.append(spoilt(message, random, self._words) if random.random() < 0.7 else message)
        return messages

    def hear(self, messages: Sequence[ConnectResponse]) -> None:
        """Say these messages, cancel what came of them, and see that the agent still listens."""
        self._loop.run(self._hear(messages))

    async def _hear(self, messages: Sequence[ConnectResponse]) -> None:
        controller = self._controller
        controller.acknowledged.clear()
        sessions_before = controller.session_count
        for message in messages:
            kind = message.WhichOneof("payload")
            controller.say(**({} if kind is None else {kind: getattr(message, kind)}))
        controller.say(job_cancellation=JobCancellation(job_id=_JOB, reason="enough"))
        last = controller._last_id
        await controller.until(
            lambda: (
                self._running.done() or last in controller.acknowledged or controller.session_count > sessions_before
            )
        )
        await self._attached()

    async def _attached(self) -> None:
        controller = self._controller
        await controller.until(
            lambda: self._running.done() or 0 < controller.session_count <= len(controller.all("hello"))
        )
        if self._running.done():
            self._running.result()
            raise AssertionError("the agent ended by itself")


@contextmanager
def fuzzed_agent(folder: Path) -> Iterator[FuzzedAgent]:
    """Run an agent for as long as the context lives."""
    with FuzzedAgent(folder) as made:
        yield made

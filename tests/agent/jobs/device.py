"""A desk on a folder of its own, and the words that tests tell it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steelyard_agent.jobs.desk import JobDesk
from steelyard_agent.jobs.lease import LeaseKeeper
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_protocol.v1.plan_pb2 import Plan
from steelyard_protocol.v1.result_pb2 import PASS_LATENCY
from steelyard_protocol.v1.session_pb2 import (
    ConnectResponse,
    JobOffer,
    ResultAcknowledgement,
    RoundGrant,
)
from tests.agent.jobs.fakes import FakePort, FakeWorkers, Spell, plan_of, round_tools
from tests.support.fake_controller import digest_of

A, B, DATA = b"model A", b"model B", b"data"


class Device:
    """A desk on a folder; ``restart`` makes a new one on the same folder, as after a kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("blobs", "outbox"):
            (folder / name).mkdir()
        self.free_bytes = 10**12
        self.workers = FakeWorkers()
        self.spell = Spell()
        # Time stands still until a test moves it.
        self.now_s = 1000.0
        self.start()

    def start(self) -> None:
        self.port = FakePort()
        self.port.blobs = {digest_of(content): content for content in (A, B, DATA)}
        self.outbox = Outbox(self.folder / "outbox")
        self.tools = round_tools(self.workers, self.folder / "work", spell=self.spell)
        self.leases = LeaseKeeper(IdentityFile(self.folder / "device.json"), clock_s=lambda: self.now_s)
        self.desk = JobDesk(
            leases=self.leases,
            outbox=self.outbox,
            cache=BlobCache(self.folder / "blobs", free_bytes=lambda _folder: self.free_bytes),
            port=self.port,
            rounds=self.tools,
        )
        self.delivering = asyncio.ensure_future(self.desk.delivery.run())
        self.desk.session_opened()

    async def stop(self) -> None:
        await self.desk.close()
        self.delivering.cancel()
        await asyncio.wait({self.delivering})

    async def hear(self, **payload: Any) -> None:
        await self.desk.handle(ConnectResponse(message_id=1, **payload))

    async def offer(self, job_id: str = "j", *, plan: Plan | None = None, **more: Any) -> None:
        plan = plan or plan_of(A, B, evaluation=DATA)
        values = {"attempt": 1, "lease_ttl_ms": 60_000, **more}
        await self.hear(job_offer=JobOffer(job_id=job_id, plan=plan, **values))

    async def grant(self, first: int, count: int, pass_kind: int = PASS_LATENCY, **more: Any) -> None:
        values = {"job_id": "j", "attempt": 1, "epoch": 1, **more}
        await self.hear(round_grant=RoundGrant(first_round=first, round_count=count, pass_kind=pass_kind, **values))

    async def until(self, condition: Callable[[], Any]) -> Any:
        deadline = asyncio.get_running_loop().time() + 20
        while not (value := condition()):
            assert asyncio.get_running_loop().time() < deadline, self.port.kinds()
            if self.desk.bug.done():
                self.desk.bug.result()
            await asyncio.sleep(0.001)
        return value

    async def told(self, kind: str, count: int = 1) -> Any:
        await self.until(lambda: len(self.port.all(kind)) >= count)
        return self.port.all(kind)[count - 1]

    def acknowledge(self) -> ConnectResponse:
        keys = [ready.key for ready in self.port.all("round_ready")]  # type: ignore[attr-defined]
        return ConnectResponse(result_acknowledgement=ResultAcknowledgement(keys=keys))

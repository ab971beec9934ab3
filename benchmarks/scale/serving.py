"""What is measured, as a process: ``python -m benchmarks.scale.serving steelyard|bare STATE``."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc.aio

from benchmarks.scale.bare_fleet import BareFleet, start_bare
from benchmarks.scale.line_process import Answerer, answer_lines
from steelyard.control.controller import Controller
from steelyard.settings import Settings
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, plan_pb2, session_pb2

LABEL = "net-0"
_TTL_MS = 60_000
_CODE_LIFE_MS = 3_600_000

Offer = Callable[[str, session_pb2.JobOffer], Awaitable[None]]


class Dispatch:
    """Times offers from the moment they are queued until their answer is read. Used from one event loop."""

    def __init__(self, offer: Offer, device_ids: Callable[[], list[str]]) -> None:
        self._offer = offer
        self._device_ids = device_ids

    async def attached(self) -> int:
        """Return how many agents are connected."""
        return len(self._device_ids())

    async def one_by_one(self, count: int) -> list[float]:
        """Return the seconds of each of ``count`` offers to one agent after another."""
        ids = self._device_ids()
        return [await self._timed(ids[index * len(ids) // count]) for index in range(min(count, len(ids)))]

    async def to_all(self) -> list[float]:
        """Return the seconds of the offers to every agent at once, from the first one on."""
        begun_s = time.monotonic()
        return list(await asyncio.gather(*(self._timed(one, begun_s) for one in self._device_ids())))

    async def _timed(self, device_id: str, begun_s: float | None = None) -> float:
        begun_s = time.monotonic() if begun_s is None else begun_s
        offer = session_pb2.JobOffer(job_id=uuid.uuid4().hex, attempt=1, plan=plan(), lease_ttl_ms=_TTL_MS)
        await self._offer(device_id, offer)
        return time.monotonic() - begun_s


def plan() -> plan_pb2.Plan:
    """Return a plan of one model."""
    digest = hashlib.sha256(LABEL.encode()).hexdigest()
    return plan_pb2.Plan(
        artifacts=[plan_pb2.PlannedArtifact(label=LABEL, artifact_digest=digest, size_bytes=1_000_000)]
    )


class SteelyardServer:
    """A whole controller, as ``steelyard serve`` runs it."""

    def __init__(self, state: Path) -> None:
        self._controller = Controller(
            Settings(
                state_directory=state,
                agent_listen="127.0.0.1:0",
                secure_listen="127.0.0.1:0",
                enroll_listen="127.0.0.1:0",
                advertise=("127.0.0.1",),
            )
        )

    async def start(self) -> dict[str, str]:
        """Begin to serve; return where."""
        await self._controller.start()
        doors = self._controller.doors
        assert doors.authorities is not None
        return {
            "address": doors.secure_address,
            "controller_id": self._controller.controller_id,
            "enrollment_pem": doors.authorities.identity.enrollment.certificate_pem.decode(),
        }

    async def invite(self, count: int) -> str:
        """Return a join code for so many devices."""
        invited = await self._controller.doors.administration.invite_device(
            use_count=count, valid_ms=_CODE_LIFE_MS, tags=()
        )
        return invited.code

    async def jobs(self, count: int) -> dict[str, str]:
        """Return a job for each of ``count`` connected devices, whose rounds are taken; none of them is run."""
        made = {}
        for presence in list(self._controller.fleet.present())[:count]:
            device_id = presence.link.device_id
            job = control_pb2.Job(
                job_id=uuid.uuid4().hex,
                kind=control_pb2.JOB_KIND_MEASUREMENT,
                device=presence.link.name,
                device_id=device_id,
                attempt=1,
            )
            request = control_pb2.SubmitMeasurementRequest(device=presence.link.name, plan=plan())
            await self._controller.store.call(Store.create_job, job, request.SerializeToString(), uuid.uuid4().hex)
            made[device_id] = job.job_id
        return made

    async def stop(self) -> None:
        """End it."""
        await self._controller.stop()

    def dispatch(self) -> Dispatch:
        """Offer by the fleet's own links and inboxes."""
        return Dispatch(self._offer, lambda: [one.link.device_id for one in self._controller.fleet.present()])

    async def _offer(self, device_id: str, offer: session_pb2.JobOffer) -> None:
        fleet = self._controller.fleet
        presence = fleet.presence(device_id)
        assert presence is not None
        inbox = fleet.listen(offer.job_id, device_id)
        try:
            presence.link.send(session_pb2.ConnectResponse(job_offer=offer))
            answer = await inbox.get()
            assert isinstance(answer, session_pb2.LeaseAnswer), answer
        finally:
            fleet.unlisten(offer.job_id)


class BareServer:
    """grpc.aio alone, with the keys of a controller that ran in the same folder before."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._fleet = BareFleet()
        self._server: grpc.aio.Server | None = None

    async def start(self, controller_id: str) -> dict[str, str]:
        """Begin to serve; return where."""
        self._server, address = await start_bare(self._fleet, self._state, controller_id)
        return {"address": address}

    async def stop(self) -> None:
        """End it."""
        assert self._server is not None
        await self._server.stop(1.0)

    def dispatch(self) -> Dispatch:
        """Offer by the stream itself."""
        return Dispatch(self._fleet.offer, self._fleet.device_ids)


async def _main(subject: str, state: Path) -> None:
    server = SteelyardServer(state) if subject == "steelyard" else BareServer(state)
    dispatch = server.dispatch()
    answerers: dict[str, Answerer] = {
        "start": server.start,
        "stop": server.stop,
        "attached": dispatch.attached,
        "one_by_one": dispatch.one_by_one,
        "to_all": dispatch.to_all,
    }
    if isinstance(server, SteelyardServer):
        answerers |= {"invite": server.invite, "jobs": server.jobs}
    await answer_lines(answerers)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2])))

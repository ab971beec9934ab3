"""An agent that says what a real one says on a session and does nothing: its own connection, key and certificate."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from steelyard_agent.link.channel import CHANNEL_OPTIONS
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc, common_pb2, result_pb2, session_pb2, session_pb2_grpc

_log = logging.getLogger(__name__)

_LEASE_TTL_MS = 60_000
_RUNTIMES = ("onnxruntime", "litert", "openvino")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What an enrolled device holds, in PEM."""

    device_id: str
    key: bytes = field(repr=False)
    certificate: bytes
    authorities: bytes
    controller_name: str


class LightAgent:
    """Holds one session. Used from one event loop."""

    def __init__(self, credentials: Credentials, address: str, *, draw: random.Random) -> None:
        self.device_id = credentials.device_id
        self._draw = draw
        self._channel = grpc.aio.secure_channel(
            address,
            grpc.ssl_channel_credentials(credentials.authorities, credentials.key, credentials.certificate),
            options=[*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", credentials.controller_name)],
        )
        self._call: Any = None
        self._writing = asyncio.Lock()
        self._last_id = 0
        self._epoch = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._acknowledged: dict[tuple[str, int], asyncio.Future[None]] = {}
        self._welcomed = asyncio.Event()
        # Whether a session that was welcomed broke.
        self.lost = False

    async def attach(self, timeout_s: float) -> bool:
        """Dial and be welcomed; false when that did not come about in time."""
        self._call = session_pb2_grpc.SessionServiceStub(self._channel).Connect()
        holding = asyncio.create_task(self._hold())
        waiting = asyncio.create_task(self._welcomed.wait())
        self._tasks += [holding, waiting]
        await asyncio.wait([holding, waiting], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return self._welcomed.is_set()

    async def leave(self) -> None:
        """Say goodbye and close the connection."""
        for task in self._tasks:
            task.cancel()
        if self._call is not None:
            self._call.cancel()
        await self._channel.close()

    async def upload(self, job_id: str, digest: str, content: bytes) -> None:
        """Send a blob as a job's device does."""
        grant = blob_pb2.BlobGrant(device_id=self.device_id, job_id=job_id, epoch=1)
        header = blob_pb2.UploadHeader(digest=digest, size_bytes=len(content), grant=grant)
        requests = [blob_pb2.UploadRequest(header=header), blob_pb2.UploadRequest(chunk=content)]
        await blob_pb2_grpc.BlobServiceStub(self._channel).Upload(iter(requests))

    async def deliver(self, key: result_pb2.ResultKey, digest: str, size_bytes: int) -> None:
        """Announce a round and wait until it is recorded."""
        recorded = self._acknowledged[(key.job_id, key.round_index)] = asyncio.get_running_loop().create_future()
        ready = session_pb2.RoundReady(key=key, epoch=1, result_digest=digest, result_size_bytes=size_bytes)
        await self._say(session_pb2.ConnectRequest(round_ready=ready))
        await recorded

    async def _hold(self) -> None:
        try:
            await self._say(session_pb2.ConnectRequest(hello=_hello(self.device_id)))
            while isinstance(message := await self._call.read(), session_pb2.ConnectResponse):
                await self._hear(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            _log.warning("agent %s: %s", self.device_id, error)
        self.lost = self._welcomed.is_set()

    async def _hear(self, message: session_pb2.ConnectResponse) -> None:
        kind = message.WhichOneof("payload")
        if kind == "acknowledgement":
            return
        receipt = session_pb2.Acknowledgement(message_id=message.message_id)
        await self._say(session_pb2.ConnectRequest(acknowledgement=receipt))
        if kind == "welcome":
            interval_s = message.welcome.heartbeat_interval_ms / 1000
            self._tasks.append(asyncio.create_task(self._beat(interval_s)))
            self._welcomed.set()
        elif kind == "job_offer":
            await self._take(message.job_offer)
        elif kind == "result_acknowledgement":
            for key in message.result_acknowledgement.keys:
                self._acknowledged.pop((key.job_id, key.round_index)).set_result(None)

    async def _take(self, offer: session_pb2.JobOffer) -> None:
        self._epoch += 1
        lease = session_pb2.Lease(job_id=offer.job_id, attempt=offer.attempt, epoch=self._epoch, ttl_ms=_LEASE_TTL_MS)
        answer = session_pb2.LeaseAnswer(job_id=offer.job_id, attempt=offer.attempt, lease=lease)
        await self._say(session_pb2.ConnectRequest(lease_answer=answer))

    async def _beat(self, interval_s: float) -> None:
        # Agents of a fleet did not all start in one moment.
        await asyncio.sleep(interval_s * self._draw.random())
        while not self.lost:
            heartbeat = session_pb2.Heartbeat(activity="idle", free_disk_bytes=20 * 2**30, readings=[_temperature()])
            await self._say(session_pb2.ConnectRequest(heartbeat=heartbeat))
            await asyncio.sleep(interval_s)

    async def _say(self, message: session_pb2.ConnectRequest) -> None:
        # Two writes at once end a call.
        async with self._writing:
            self._last_id += 1
            message.message_id = self._last_id
            await self._call.write(message)


def _temperature() -> common_pb2.Reading:
    return common_pb2.Reading(
        name="cpu_temperature",
        value=51.2,
        unit="Cel",
        status=common_pb2.READING_STATUS_MEASURED,
        source="/sys/class/thermal/thermal_zone0/temp",
    )


def _hello(device_id: str) -> session_pb2.Hello:
    """As long as that of a board: some 3 KiB."""
    device = common_pb2.DeviceDescription(
        device_id=device_id,
        name=f"board-{device_id}",
        model="Raspberry Pi 5 Model B Rev 1.0",
        architecture="aarch64",
        operating_system="Debian GNU/Linux 12 (bookworm)",
        kernel="6.6.31+rpt-rpi-2712",
        processor="4x Cortex-A76",
        logical_core_count=4,
        processor_features=["fp", "asimd", "aes", "sha1", "sha2", "crc32", "atomics", "fphp", "asimdhp", "asimddp"],
        memory_bytes=8 * 2**30,
        python_version="3.11.2",
        runtimes=[
            common_pb2.RuntimeDescription(
                name=name,
                version="1.0.0",
                providers=["CPUExecutionProvider"],
                unusable_providers=[
                    common_pb2.UnusableProvider(name=f"Provider{one}", reason="is not in this build of the runtime")
                    for one in range(10)
                ],
            )
            for name in _RUNTIMES
        ],
        meters=[_temperature() for _ in range(6)],
    )
    return session_pb2.Hello(device=device, boot_id=device_id, agent_version="0.1.0", protocol_version=1)

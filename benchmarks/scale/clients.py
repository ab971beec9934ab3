"""A process that holds many light agents: ``python -m benchmarks.scale.clients``."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import grpc
import grpc.aio

from benchmarks.scale.light_agent import Credentials, LightAgent
from benchmarks.scale.line_process import answer_lines
from steelyard.identity.join_code import decode_join_code
from steelyard.identity.subjects import ENROLLMENT_NAME
from steelyard_agent.link.channel import CHANNEL_OPTIONS
from steelyard_protocol.v1 import common_pb2, enrollment_pb2, enrollment_pb2_grpc, result_pb2

T = TypeVar("T")

# The enrollment port serves 64 at once, and there are four of us.
_ENROLLING = 12
_DIALLING = 64
_ATTACH_S = 120.0
_SAMPLE_COUNT = 500


class Clients:
    """The agents of this process."""

    def __init__(self) -> None:
        self._credentials: list[Credentials] = []
        self._agents: list[LightAgent] = []

    async def enroll(self, code: str, enrollment_pem: str, count: int) -> float:
        """Give ``count`` agents a key and a certificate each by a join code; return the seconds."""
        decoded = decode_join_code(code)
        options = [*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", ENROLLMENT_NAME)]
        trust = grpc.ssl_channel_credentials(enrollment_pem.encode())
        begun_s = time.monotonic()
        async with grpc.aio.secure_channel(decoded.addresses[0], trust, options=options) as channel:
            port = enrollment_pb2_grpc.EnrollmentServiceStub(channel)

            async def one(_index: int) -> None:
                self._credentials.append(await _enrolled(port, decoded.secret_text))

            await _at_most(_ENROLLING, one, range(count))
        return time.monotonic() - begun_s

    async def attach(self, address: str) -> dict[str, float]:
        """Let every agent dial; return when the last was welcomed (seconds), and how many were not."""
        draw = random.Random(len(self._credentials))
        self._agents = [LightAgent(one, address, draw=draw) for one in self._credentials]
        missed = 0

        async def one(agent: LightAgent) -> None:
            nonlocal missed
            missed += not await agent.attach(_ATTACH_S)

        begun_s = time.monotonic()
        await _at_most(_DIALLING, one, self._agents)
        return {"seconds": time.monotonic() - begun_s, "missed": missed}

    async def lost(self) -> int:
        """Return how many sessions broke after their welcome."""
        return sum(agent.lost for agent in self._agents)

    async def deliver(self, jobs: dict[str, str], label: str, round_count: int) -> dict[str, float]:
        """Upload and announce rounds of the agents that ``jobs`` names; return the seconds of both."""
        mine = [agent for agent in self._agents if agent.device_id in jobs]
        rounds = [
            (agent, _round(jobs[agent.device_id], label, index)) for agent in mine for index in range(round_count)
        ]

        async def upload(work: tuple[LightAgent, _Round]) -> None:
            agent, made = work
            await agent.upload(made.key.job_id, made.digest, made.content)

        async def announce(work: tuple[LightAgent, _Round]) -> None:
            agent, made = work
            await agent.deliver(made.key, made.digest, len(made.content))

        begun_s = time.monotonic()
        await _at_most(_DIALLING, upload, rounds)
        uploaded_s = time.monotonic()
        await asyncio.gather(*(announce(one) for one in rounds))
        return {
            "count": len(rounds),
            "upload_seconds": uploaded_s - begun_s,
            "record_seconds": time.monotonic() - uploaded_s,
        }

    async def leave(self) -> None:
        """Close every connection; the certificates stay."""
        await _at_most(_DIALLING, LightAgent.leave, self._agents)
        self._agents = []


class _Round:
    def __init__(self, key: result_pb2.ResultKey, content: bytes) -> None:
        self.key = key
        self.content = content
        self.digest = hashlib.sha256(content).hexdigest()


def _round(job_id: str, label: str, index: int) -> _Round:
    key = result_pb2.ResultKey(job_id=job_id, attempt=1, pass_kind=result_pb2.PASS_LATENCY, round_index=index)
    draw = random.Random(f"{job_id}{index}")
    block = result_pb2.BlockResult(
        label=label,
        artifact_digest=hashlib.sha256(label.encode()).hexdigest(),
        status=result_pb2.BLOCK_STATUS_OK,
        latency_ns=[int(1e6 * draw.lognormvariate(0, 0.05)) for _ in range(_SAMPLE_COUNT)],
        readings=[common_pb2.Reading(name="cpu_temperature", value=51.0, unit="Cel")],
    )
    made = result_pb2.RoundResult(job_id=job_id, attempt=1, pass_kind=key.pass_kind, round_index=index, blocks=[block])
    made.started_at.FromNanoseconds(time.time_ns())
    made.finished_at.FromNanoseconds(time.time_ns())
    return _Round(key, made.SerializeToString())


async def _enrolled(port: Any, secret_text: str) -> Credentials:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    device_id = str(uuid.uuid4())
    asked = enrollment_pb2.EnrollRequest(
        secret=secret_text,
        request_pem=request.public_bytes(serialization.Encoding.PEM).decode(),
        device_id=device_id,
        name=f"board-{device_id}",
    )
    answer = (await port.Enroll(asked)).credentials
    return Credentials(
        device_id=device_id,
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        certificate=answer.certificate_pem.encode(),
        authorities=answer.authorities_pem.encode(),
        controller_name=answer.controller_name,
    )


async def _at_most(count: int, work: Callable[[T], Awaitable[None]], each: Iterable[T]) -> None:
    left = iter(each)

    async def some() -> None:
        for one in left:
            await work(one)

    await asyncio.gather(*(some() for _ in range(count)))


async def _main() -> None:
    clients = Clients()
    await answer_lines(
        {
            "enroll": clients.enroll,
            "attach": clients.attach,
            "lost": clients.lost,
            "deliver": clients.deliver,
            "leave": clients.leave,
        }
    )


if __name__ == "__main__":
    asyncio.run(_main())

"""Every RPC of the controller, over real sockets, given messages that are valid and absurd.

A call may be refused in every way but two: UNKNOWN and INTERNAL are what gRPC makes of an exception that nobody thought
of. A job may end in every way but one: by a bug of ours.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Self

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import steelyard_protocol.v1
from steelyard.control.controller import Controller
from steelyard.identity.join_code import decode_join_code
from steelyard.settings import Settings
from steelyard.store.store import Store
from steelyard_protocol.v1 import (
    blob_pb2,
    blob_pb2_grpc,
    control_pb2,
    nightly_pb2,
    nightly_pb2_grpc,
    session_pb2,
)
from tests.controller.control.planned import add_model, add_task, request_for, round_for
from tests.controller.fleet.scripted_agent import ScriptedAgent, hello_of
from tests.fuzzing.odd_values import Words, make_message, spoilt
from tests.support.certificate_holder import enroll, enrollment_channel, make_key, request_pem

# What gRPC says on this side, before the other's status arrives, of a write on a session that the other has just ended.
_OWN_WRITE_FAILED = (grpc.StatusCode.INTERNAL, "Internal error from Core")
CRASHES = frozenset({grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED})
_CALL_TIMEOUT_S = 20.0
_LONGEST_WAIT_MS = 20
# Those of devices are spoken in conversations of their own.
_APART = frozenset({"SessionService", "BlobService", "RenewalService"})


class ServiceCrashError(AssertionError):
    """A call ended by an exception that was none of ours, or did not end at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One method of one service."""

    service: str
    method: MethodDescriptor

    @property
    def name(self) -> str:
        """Its name, as a test shows it."""
        return f"{self.service}.{self.method.name}"


def rpcs() -> tuple[Rpc, ...]:
    """Return every unary method that the protocol has."""
    modules = [one.name for one in pkgutil.iter_modules(steelyard_protocol.v1.__path__) if one.name.endswith("_pb2")]
    services = {}
    for name in modules:
        services |= importlib.import_module(f"steelyard_protocol.v1.{name}").DESCRIPTOR.services_by_name
    return tuple(
        Rpc(service=service.full_name, method=method)
        for name, service in sorted(services.items())
        if name not in _APART
        for method in service.methods
    )


class FuzzedController:
    """A controller with all its ports, a device that is connected, and ids that mean something to it."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(state_directory=folder / "state", agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0")
        self._loop = asyncio.Runner()
        self._controller = Controller(settings)
        self._boot_numbers = itertools.count()
        self.words: Words = {}
        self._of_nights: tuple[Message, ...] = ()

    def __enter__(self) -> Self:
        self._loop.run(self._start())
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._loop.run(self._stop())
        finally:
            self._loop.close()

    async def _start(self) -> None:
        controller = self._controller
        await controller.start()
        self._people = grpc.aio.insecure_channel(f"unix:{controller.socket_path}")
        invitation = await controller.doors.administration.invite_device(use_count=1000, valid_ms=0, tags=("rack1",))
        self._code = invitation.code
        self._newcomers = await enrollment_channel(self._code)
        self._holder = await enroll(self._code)
        self._model, self._task = await add_model(controller), await add_task(controller)
        self._agent = ScriptedAgent(controller.agent_address)
        await self._agent.say_hello()
        self._request = request_for([self._model], task=self._task)
        job = await controller.jobs.submit_measurement(self._request)
        devices = ("pi5", "dev-0001", self._holder.device_id)
        self.words = {
            **dict.fromkeys(("digest", "artifact_digest", "artifact", "parent_digest"), (self._model.digest,)),
            **dict.fromkeys(("device", "device_id", "old_device", "new_device"), devices),
            **dict.fromkeys(("job_id", "extended_job_id"), (job.job_id,)),
            "task_id": (self._task.task_id,),
            "recipe_toml": ('name = "x"\nsteps = [{kind = "fold"}]',),
            "name": ("ada", "pi5"),
            "page_token": ("1",),
            "requirements": ("p90<20ms", "drop<1pp"),
            "secret": (decode_join_code(self._code).secret_text,),
            "request_pem": (request_pem(make_key()),),
            "certificate_pem": (self._holder.credentials.certificate_pem,),
            "passphrase": ("correct horse battery",),
            **await self._words_of_nights(job.job_id),
        }

    async def _words_of_nights(self, job_id: str) -> dict[str, tuple[str, ...]]:
        """Begin a night with a point, so that series, environments and alerts are there."""
        nights = nightly_pb2_grpc.NightlyServiceStub(self._people)
        digest = self._controller.blobs.put_bytes(b"{}")
        begin = nightly_pb2.BeginNightRequest(request_id="r1", suite_name="nightly", suite_digest=digest)
        night_id = (await nights.BeginNight(begin)).night.night_id
        key = nightly_pb2.SeriesKey(model="resnet", device_id="dev-0001", runtime="cpu", metric="p50", unit="ms")
        point = nightly_pb2.Point(key=key, value=20.0, job_id=job_id, environment_index=1)
        kept = nightly_pb2.PointEnvironment(entries={"os": "Debian 12"})
        # One that no other request ends.
        other = nightly_pb2.BeginNightRequest(request_id="r2", suite_name="recorded", suite_digest=digest)
        other_id = (await nights.BeginNight(other)).night.night_id
        record = nightly_pb2.RecordPointsRequest(night_id=other_id, points=[point], environments=[kept])
        alert = nightly_pb2.Alert(alert_id="alert-1", suite_name="nightly", state="confirmed", json="{}")
        put = nightly_pb2.PutAlertsRequest(night_id=night_id, alerts=[alert])
        await nights.RecordPoints(record)
        await nights.PutAlerts(put)
        self._of_nights = (begin, record, put)
        return {
            "night_id": (night_id,),
            "suite_name": ("nightly",),
            "suite_digest": (digest,),
            "report_digest": (digest,),
            "alert_id": ("alert-1",),
            "json": ("{}", '{"a": [1]}'),
            "metric": ("p50",),
            "kind": ("candidate",),
        }

    async def _stop(self) -> None:
        await self._agent.close()
        await self._people.close()
        await self._newcomers.close()
        await self._controller.stop()

    # -- people, and those who enroll -------------------------------------------------------------------------------

    def make_request(self, rpc: Rpc, random: Random) -> Message:
        """Return a request of a method; one that makes sense is spoilt where this class knows one."""
        kind = GetMessageClass(rpc.method.input_type)
        good = [one for one in (self._request, *self._of_nights) if type(one) is kind]
        if good and random.random() < 0.7:
            return _harmless(spoilt(good[0], random, self.words))
        return _harmless(make_message(kind, random, self.words))

    def call(self, rpc: Rpc, request: Message) -> None:
        """Make the call."""
        channel = self._newcomers if "Enrollment" in rpc.service else self._people
        answer = GetMessageClass(rpc.method.output_type)
        stub = channel.unary_unary(
            f"/{rpc.service}/{rpc.method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        self._loop.run(_ended_well(stub(request, timeout=_CALL_TIMEOUT_S)))
        self.refuse_bugs()

    def refuse_bugs(self) -> None:
        """Look at every job's end, and cancel those that go on."""
        self._loop.run(self._refuse_bugs())

    async def _refuse_bugs(self) -> None:
        # What was just taken in runs until it waits for something.
        for _ in range(3):
            await asyncio.sleep(0)
        jobs, _ = await self._controller.store.call(Store.list_jobs, 1000, "")
        for job in jobs:
            if job.error.reason == "internal":
                raise ServiceCrashError(job.error.message)

    # -- devices ----------------------------------------------------------------------------------------------------

    def talk(self, hello: session_pb2.Hello, said: Sequence[session_pb2.ConnectRequest]) -> None:
        """Hold a session of a device on the port of loopback."""
        self._loop.run(self._talk(hello, said))
        self.refuse_bugs()

    async def _talk(self, hello: session_pb2.Hello, said: Sequence[session_pb2.ConnectRequest]) -> None:
        agent = ScriptedAgent(self._controller.agent_address)
        try:
            await agent.open()
            await agent.say(hello=hello)
            await agent.until(lambda: agent.all("welcome") or agent.ended.is_set())
            for message in said:
                if agent.ended.is_set():
                    break
                await agent.call.write(message)
            if not agent.ended.is_set():
                await agent.call.write(session_pb2.ConnectRequest(message_id=99, goodbye=session_pb2.Goodbye()))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # Ended meanwhile; how it ended is looked at below.
            pass
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                code, details = await agent.status()
            if (code, details) == _OWN_WRITE_FAILED:
                return
        except TimeoutError:
            code, details = grpc.StatusCode.DEADLINE_EXCEEDED, "the session does not end"
        finally:
            await agent.close()
        if code in CRASHES:
            raise ServiceCrashError(f"{code.name}: {details}")

    def make_conversation(self, random: Random) -> tuple[session_pb2.Hello, list[session_pb2.ConnectRequest]]:
        """Return a hello and some messages, which speak of a job that runs on this device as often as not."""
        return self._loop.run(self._make_conversation(random))

    async def _make_conversation(self, random: Random) -> tuple[session_pb2.Hello, list[session_pb2.ConnectRequest]]:
        job_id = await self._job()
        hello = hello_of("dev-0001", "pi5")
        if random.random() < 0.5:
            hello = spoilt(hello, random, self.words)
        good = await self._good_messages(job_id)
        said = []
        for number in range(random.randint(1, 6)):
            message = random.choice(good)
            if random.random() < 0.6:
                message = spoilt(message, random, {**self.words, "job_id": (job_id,)})
            message.message_id = number + 2
            said.append(message)
        return hello, said

    async def _job(self) -> str:
        jobs, _ = await self._controller.store.call(Store.list_jobs, 100, "")
        running = [job.job_id for job in jobs if self._controller.jobs.runs(job.job_id) and job.device == "pi5"]
        if running:
            return running[0]
        request = control_pb2.SubmitMeasurementRequest()
        request.CopyFrom(self._request)
        return (await self._controller.jobs.submit_measurement(request)).job_id

    async def _good_messages(self, job_id: str) -> list[session_pb2.ConnectRequest]:
        result = round_for(job_id, self._request.plan, 0)
        digest = self._controller.blobs.put_bytes(result.SerializeToString())
        key = {"job_id": job_id, "attempt": 1, "pass_kind": result.pass_kind, "round_index": 0}
        lease = {"job_id": job_id, "attempt": 1, "epoch": 1, "ttl_ms": 60_000}
        payloads: list[dict[str, Any]] = [
            {"lease_answer": {"job_id": job_id, "attempt": 1, "lease": lease}},
            {"round_ready": {"key": key, "epoch": 1, "result_digest": digest, "result_size_bytes": 1}},
            {"job_progress": {"job_id": job_id, "attempt": 1, "phase": 1, "detail": "x", "bytes_total": 2}},
            {"grant_finished": {"job_id": job_id, "attempt": 1, "epoch": 1, "pass_kind": result.pass_kind}},
            {"heartbeat": {"activity": "idle", "lease": lease, "heard_message_id": 1, "held_ns": 5}},
            {"job_failed": {"job_id": job_id, "attempt": 1, "error": {"reason": "disk_full", "message": "full"}}},
            {"acknowledgement": {"message_id": 1}},
        ]
        return [session_pb2.ConnectRequest(**payload) for payload in payloads]

    # -- blobs ------------------------------------------------------------------------------------------------------

    def transfer(self, messages: Sequence[Message]) -> None:
        """Make a transfer of blobs by the control socket, where the gate lets everybody in."""
        stub = blob_pb2_grpc.BlobServiceStub(self._people)
        first = messages[0]

        async def move() -> None:
            if isinstance(first, blob_pb2.DownloadRequest):
                await _ended_well(_drained(stub.Download(first, timeout=_CALL_TIMEOUT_S)))
            elif isinstance(first, blob_pb2.QueryUploadRequest):
                await _ended_well(stub.QueryUpload(first, timeout=_CALL_TIMEOUT_S))
            else:
                await _ended_well(stub.Upload(iter(messages), timeout=_CALL_TIMEOUT_S))

        self._loop.run(move())


def make_transfer(random: Random, words: Words) -> list[Message]:
    """Return the messages of a transfer."""
    kind = random.choice((blob_pb2.DownloadRequest, blob_pb2.QueryUploadRequest, blob_pb2.UploadRequest))
    count = random.randint(1, 4) if kind is blob_pb2.UploadRequest else 1
    return [make_message(kind, random, words) for _ in range(count)]


@contextmanager
def fuzzed_controller(folder: Path) -> Iterator[FuzzedController]:
    """Run a controller for as long as the context lives."""
    with FuzzedController(folder) as made:
        yield made


async def _drained(call: Any) -> None:
    async for _ in call:
        pass


async def _ended_well(call: Any) -> None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if error.code() in CRASHES:
            raise ServiceCrashError(f"{error.code().name}: {error.details()}") from error
    except asyncio.InvalidStateError:
        # An upload that was refused while it was written.
        pass


def _harmless(request: Message) -> Message:
    """Take out what would reach beyond this machine, start a program, or wait."""
    names = request.DESCRIPTOR.fields_by_name
    if "wait_ms" in names:
        request.wait_ms = min(request.wait_ms, _LONGEST_WAIT_MS)  # type: ignore[attr-defined]
    if "meters" in names:
        del request.meters[:]  # type: ignore[attr-defined]
    for name in ("device", "device_id", "name"):
        if name in names and getattr(request, name) == "local":
            setattr(request, name, "")
    return request

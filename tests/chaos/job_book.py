"""The jobs of one controller: submitted until they are acknowledged, looked at until they have ended."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.errors import DeviceError, SteelyardError
from steelyard.fleet.transport import CONTROL_CLIENT_OPTIONS
from steelyard.job_states import FINAL_STATES
from steelyard.priorities import PRIORITIES
from steelyard.store.lock import lock_holder
from steelyard_protocol.v1 import (
    control_pb2,
    control_pb2_grpc,
    fleet_pb2,
    fleet_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
)
from tests.support.anywhere import ANYWHERE

ROUND_COUNT = 3
_CALL_S = 4.0
_WINDOW_MS = 50


class JobBook:
    """Keeps every device busy with small measurements of all priorities. Used from one thread."""

    def __init__(self, controller_state: Path, devices: tuple[str, ...], seed: str, *, depth: int = 2) -> None:
        """Let ``depth`` jobs of each device be unfinished at any time: one runs, the others wait."""
        self._state = controller_state
        self._devices = devices
        self._depth = depth
        self._draw = random.Random(seed)
        self._artifacts: list[control_pb2.Artifact] = []
        # By request id: those that nobody acknowledged yet.
        self._waiting: dict[str, control_pb2.SubmitMeasurementRequest] = {}
        self.open: dict[str, str] = {}
        self.ended: dict[str, control_pb2.Job] = {}
        self.request_count = 0

    def add_models(self, paths: list[Path]) -> None:
        """Bring the models; the controller is there."""
        with self._channel() as channel, Client(channel) as client:
            self._artifacts = [client.add_model(path) for path in paths]

    def online(self) -> set[str]:
        """Return the names of the devices that are connected; none while the controller is away."""
        with self._channel() as channel, Client(channel) as client:
            try:
                return {device.description.name for device in client.devices() if device.online}
            except DeviceError:
                return set()

    def top_up(self) -> None:
        """Submit as many jobs as each device lacks; what is not acknowledged is tried again by ``submit_waiting``."""
        for device in self._devices:
            busy = [*self.open.values(), *(one.device for one in self._waiting.values())].count(device)
            for _ in range(self._depth - busy):
                self.ask(device)
        self.submit_waiting()

    def ask(self, device: str) -> str:
        """Make one request and return its id."""
        count = self._draw.randint(1, len(self._artifacts))
        options = MeasurementOptions(
            gate=ANYWHERE,
            min_round_count=ROUND_COUNT,
            max_round_count=ROUND_COUNT,
            sample_window_ms=_WINDOW_MS,
            numeric_check=False,
            device_wait_s=60,
        )
        request = control_pb2.SubmitMeasurementRequest(
            request_id=uuid.uuid4().hex,
            device=device,
            plan=build_plan(self._artifacts[:count], options),
            device_wait_ms=int(options.device_wait_s * 1000),
            min_round_count=ROUND_COUNT,
            max_round_count=ROUND_COUNT,
            priority=self._draw.choice(tuple(PRIORITIES.values())),
        )
        self._waiting[request.request_id] = request
        self.request_count += 1
        return request.request_id

    def submit_waiting(self) -> int:
        """Submit what nobody acknowledged, under the same request ids; return how many are left."""
        for request_id, request in list(self._waiting.items()):
            job_id = self._submit(request)
            if job_id is None:
                break
            self.open[job_id] = request.device
            del self._waiting[request_id]
        return len(self._waiting)

    def look(self) -> int:
        """Ask for every job that had not ended; return how many there are now. A controller that is away tells none."""
        with self._channel() as channel:
            stub = control_pb2_grpc.ControlServiceStub(channel)
            try:
                for job_id in list(self.open):
                    job = stub.GetJob(control_pb2.GetJobRequest(job_id=job_id), timeout=_CALL_S).job
                    if job.state in FINAL_STATES:
                        self.ended[job_id] = job
                        del self.open[job_id]
            except grpc.RpcError:
                return len(self.open)
        return len(self.open)

    def invitation(self, use_count: int) -> str | None:
        """Return a join code for so many devices; None while the controller is away."""
        request = identity_pb2.InviteDeviceRequest(use_count=use_count)
        code = ""

        def invite(channel: grpc.Channel) -> None:
            nonlocal code
            stub = identity_pb2_grpc.IdentityServiceStub(channel)
            code = stub.InviteDevice(request, timeout=_CALL_S).invitation.code

        return code if self._done(invite) else None

    def cancel_one(self, device: str) -> bool:
        """Cancel an unfinished job of a device; return whether one was, as far as the controller said."""
        mine = sorted(job_id for job_id, of in self.open.items() if of == device)
        if not mine:
            return False
        request = control_pb2.CancelJobRequest(job_id=self._draw.choice(mine))
        return self._done(
            lambda channel: control_pb2_grpc.ControlServiceStub(channel).CancelJob(request, timeout=_CALL_S)
        )

    def drain(self, device: str) -> bool:
        """Let a device take nothing new; return whether the controller said so."""
        request = fleet_pb2.DrainDeviceRequest(device=device)
        return self._done(
            lambda channel: fleet_pb2_grpc.FleetServiceStub(channel).DrainDevice(request, timeout=_CALL_S)
        )

    def resume(self, device: str) -> bool:
        """Let a device take jobs again; return whether the controller said so."""
        request = identity_pb2.ResumeDeviceRequest(device=device)
        return self._done(
            lambda channel: identity_pb2_grpc.IdentityServiceStub(channel).ResumeDevice(request, timeout=_CALL_S)
        )

    def _done(self, call: Callable[[grpc.Channel], object]) -> bool:
        with self._channel() as channel:
            try:
                call(channel)
            except grpc.RpcError:
                return False
        return True

    def _submit(self, request: control_pb2.SubmitMeasurementRequest) -> str | None:
        with self._channel() as channel:
            stub = control_pb2_grpc.ControlServiceStub(channel)
            try:
                return str(stub.SubmitMeasurement(request, timeout=_CALL_S).job_id)
            except grpc.RpcError:
                return None

    @contextmanager
    def _channel(self) -> Iterator[grpc.Channel]:
        try:
            holder = lock_holder(self._state)
        except (OSError, SteelyardError):
            holder = None
        # Nobody listens there: the call fails, as it does where a controller was killed.
        socket = holder.socket if holder is not None and holder.socket else self._state / "nobody.sock"
        # A pool of its own: the back-off of a channel to a killed controller would be that of the next one.
        options = [*CONTROL_CLIENT_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"unix:{socket}", options=options) as channel:
            yield channel

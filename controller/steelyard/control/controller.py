"""The controller: one state directory, its store and blobs, a server for agents and one for people."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc.aio

from steelyard.control.blob_bases import find_bases
from steelyard.control.confidential import removal_text
from steelyard.control.crashes import note_crashes
from steelyard.control.devices import Devices
from steelyard.control.doors import Doors, require_blob_owner
from steelyard.control.experiment_servicer import ExperimentServicer, add_experiment_service
from steelyard.control.fencing import Fence, StaleEpochError
from steelyard.control.fleet_servicer import FleetServicer, add_fleet_service
from steelyard.control.identity_servicer import IdentityServicer, add_identity_service
from steelyard.control.job_world import JobWorld
from steelyard.control.jobs import Jobs
from steelyard.control.models import Models
from steelyard.control.nightly_servicer import NightlyServicer, add_nightly_service
from steelyard.control.power import Power
from steelyard.control.power_watch import PowerWatch
from steelyard.control.results import Results
from steelyard.control.servicer import ControlServicer, add_control_service
from steelyard.control.shelf import Shelf
from steelyard.control.upkeep import Upkeep
from steelyard.control.upkeep_servicer import UpkeepServicer, add_upkeep_service
from steelyard.control.upload_quota import UploadQuota
from steelyard.errors import UsageError
from steelyard.fleet.blob_servicer import BlobGate, BlobRefusedError, BlobServicer
from steelyard.fleet.health_book import HealthBook
from steelyard.fleet.local_agent import LOCAL_NAME, LocalAgent
from steelyard.fleet.ports import add_port, refuse_taken_port
from steelyard.fleet.registry import Fleet
from steelyard.fleet.session_servicer import SessionHooks, SessionServicer
from steelyard.fleet.transport import CONTROL_SERVER_OPTIONS, SERVER_OPTIONS
from steelyard.settings import Settings, control_socket_path
from steelyard.store.blobs import BlobStore
from steelyard.store.lock import StateLock
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc, result_pb2, session_pb2, session_pb2_grpc

_log = logging.getLogger(__name__)

DATABASE_NAME = "steelyard.sqlite3"
HEARTBEAT_INTERVAL_S = 15.0
_STOP_GRACE_S = 2.0


class Controller:
    """Holds the state directory for as long as it runs. Used from one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        temporary: bool = False,
        heartbeat_s: float = HEARTBEAT_INTERVAL_S,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Prepare; ``clock_ns`` (since the epoch) says when certificates and join codes end."""
        self.state_directory: Path = settings.state_directory
        self.agent_address: str = settings.agent_listen
        self.temporary = temporary
        self.controller_id = ""
        self._heartbeat_s = heartbeat_s
        self._clock_ns = clock_ns
        self.socket_path = control_socket_path(settings.state_directory)
        self._settings = settings
        self._database_path = settings.state_directory / DATABASE_NAME
        self._servers: list[grpc.aio.Server] = []
        self._stack: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Take the state directory, open the store, listen.

        Raises:
            StateLockedError: another controller holds the state directory.
            PortTakenError: another program listens on the agents' port.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        lock = StateLock(self.state_directory, temporary=self.temporary)
        lock.acquire()
        self._stack.append(lock.release)
        # We hold the state directory: what a killed controller was making there is nobody's.
        shutil.rmtree(self.state_directory / "work", ignore_errors=True)
        self.store = AsyncStore(self._database_path, clock_ns=self._clock_ns)
        await self.store.open()
        self.blobs = BlobStore(self.state_directory / "blobs", clock_s=lambda: self._clock_ns() / 1e9)
        self.controller_id = await self.store.call(Store.controller_id, uuid.uuid4().hex)
        self.fleet = Fleet(self._clock_ns)
        self.health = HealthBook(self.store, clock_ns=self._clock_ns)
        self.power = Power(self.store)
        self._power_watch = PowerWatch(store=self.store, fleet=self.fleet, power=self.power, clock_ns=self._clock_ns)
        self.fleet.watchers += [self.health, self._power_watch]
        self.doors = Doors(controller_id=self.controller_id, store=self.store, clock_ns=self._clock_ns)
        await self.doors.load()
        self._listen_for_agents()
        self._build_parts()
        self._listen_off_loopback()
        if self.temporary:
            await self.jobs.end_orphans()
        else:
            # Before anybody comes in: a device that kept its lease finds its job running.
            await self.jobs.resume()
            await self._power_watch.expect_held()
        await self._serve_people()
        lock.publish(socket=str(self.socket_path), agent_address=self.agent_address)

    def _build_parts(self) -> None:
        self.local_agent = LocalAgent(
            state_directory=self.state_directory / "local-agent", controller_address=self.agent_address
        )
        self.devices = Devices(store=self.store, fleet=self.fleet, local_agent=self.local_agent, health=self.health)
        self.shelf = Shelf(store=self.store, fleet=self.fleet, devices=self.devices, power=self.power)
        self.results = Results(store=self.store, blobs=self.blobs, controller_id=self.controller_id)
        self.models = Models(store=self.store, blobs=self.blobs)
        self.fence = Fence(self.store)
        self._upload_quota = UploadQuota()
        self.upkeep = Upkeep(
            store=self.store,
            blobs=self.blobs,
            results=self.results,
            database_path=self._database_path,
            clock_ns=self._clock_ns,
        )
        self.jobs = Jobs(
            JobWorld(
                store=self.store,
                blobs=self.blobs,
                fleet=self.fleet,
                devices=self.devices,
                results=self.results,
                models=self.models,
                work_directory=self.state_directory / "work",
                checkpoint_directory=self.state_directory / "checkpoints",
                fence=self.fence,
                limits=self._settings.state_limits,
                temporary=self.temporary,
            )
        )

    def _listen_for_agents(self) -> None:
        refuse_taken_port(self.agent_address, "agent_listen")
        server = grpc.aio.server(options=SERVER_OPTIONS)
        hooks = SessionHooks(
            register=self._register,
            record=self._record,
            recorded=self._recorded,
            runs=self._runs,
            removed=self._removed,
        )
        self._sessions = SessionServicer(
            self.fleet,
            hooks,
            controller_id=self.controller_id,
            heartbeat_interval_s=self._heartbeat_s,
            clock_ns=self._clock_ns,
        )
        gate = BlobGate(
            may_download=self._device_may_download,
            may_upload=self._device_may_upload,
            find_bases=self._find_bases,
        )
        self._agent_blobs = BlobServicer(self.blobs, gate)
        self._add_agent_services(server)
        self.agent_address = add_port(server, self.agent_address, "agent_listen")
        self._agent_server = server
        self._servers.append(server)

    def _add_agent_services(self, server: grpc.aio.Server) -> None:
        session_pb2_grpc.add_SessionServiceServicer_to_server(self._sessions, server)
        blob_pb2_grpc.add_BlobServiceServicer_to_server(self._agent_blobs, server)

    def _add_people_services(self, server: grpc.aio.Server) -> None:
        add_control_service(ControlServicer(self), server)
        add_identity_service(IdentityServicer(self), server)
        add_upkeep_service(UpkeepServicer(self.upkeep), server)
        add_fleet_service(FleetServicer(self.shelf), server)
        add_nightly_service(NightlyServicer(self.store, self.blobs), server)
        add_experiment_service(ExperimentServicer(self.store), server)

    def _listen_off_loopback(self) -> None:
        """Take the ports with certificates, where they are wanted: devices and people come in by one of them."""
        secure_listen, enroll_listen = self._settings.secure_listen, self._settings.enrollment_listen
        if secure_listen is None or enroll_listen is None:
            return

        def add_services(server: grpc.aio.Server) -> None:
            self._add_agent_services(server)
            self._add_people_services(server)

        self.doors.bind(
            self.state_directory / "identity",
            secure_listen=secure_listen,
            enroll_listen=enroll_listen,
            advertised=self._settings.advertise,
            add_services=add_services,
        )

    async def _serve_people(self) -> None:
        self.socket_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket_path.unlink(missing_ok=True)
        server = grpc.aio.server(options=CONTROL_SERVER_OPTIONS)
        self._add_people_services(server)

        async def open_to_people(_grant: blob_pb2.BlobGrant, *_what: object) -> None:
            """Whoever reaches the socket, which is for its owner alone, is this machine's user."""

        gate = BlobGate(may_download=open_to_people, may_upload=open_to_people)
        blob_pb2_grpc.add_BlobServiceServicer_to_server(BlobServicer(self.blobs, gate), server)
        server.add_insecure_port(f"unix:{self.socket_path}")
        # The state directory may be open to others; nobody is heard before the server starts.
        self.socket_path.chmod(0o600)
        # The parts are there now: agents may come in, too.
        await self._agent_server.start()
        await self.doors.start()
        await server.start()
        self._servers.append(server)
        self._stack.append(lambda: self.socket_path.unlink(missing_ok=True))

    async def stop(self) -> None:
        """End jobs where they are (they can be resumed), the local agent, servers and store; let go of the lock."""
        if hasattr(self, "jobs"):
            await self.jobs.stop()
            await self.local_agent.stop()
        for presence in self.fleet.present() if hasattr(self, "fleet") else ():
            goodbye = session_pb2.Goodbye(reason="the controller ends")
            presence.link.send(session_pb2.ConnectResponse(goodbye=goodbye))
            presence.link.close()
        if hasattr(self, "doors"):
            await self.doors.stop()
        for server in self._servers:
            await server.stop(_STOP_GRACE_S)
        self._servers.clear()
        if hasattr(self, "health"):
            await self._power_watch.close()
            await self.power.close()
            await self.health.close()
        if hasattr(self, "store"):
            await self.store.close()
        while self._stack:
            self._stack.pop()()

    async def wait(self) -> None:
        """Wait until the agents' server ends."""
        await asyncio.gather(*(server.wait_for_termination() for server in self._servers))

    # -- hooks of the agents' server ----------------------------------------------------------------------------

    async def _register(self, hello: session_pb2.Hello) -> None:
        await self.doors.require_hello(hello)
        if hello.device.name == LOCAL_NAME and not self.local_agent.is_ours(hello.device.device_id):
            raise UsageError(
                "name_reserved",
                f"the name {LOCAL_NAME!r} belongs to the agent that a controller starts by itself; give this one "
                "another with --name",
            )
        await self.health.hello(hello)
        await self.store.call(Store.put_device, hello.device, hello.agent_version)

    async def _record(self, device_id: str, ready: session_pb2.RoundReady) -> result_pb2.RoundResult:
        await self.jobs.check_device(ready.key.job_id, device_id)
        await self.fence.require_current(device_id, ready.key.job_id, ready.epoch)
        result = await self.results.record(ready)
        await note_crashes(self.store, device_id, ready.key, result, crash_limit=self._settings.crash_limit)
        return result

    async def _recorded(self, keys: list[result_pb2.ResultKey]) -> list[result_pb2.ResultKey]:
        return await self.results.recorded(keys)

    def _runs(self, job_id: str) -> bool:
        return self.jobs.runs(job_id)

    async def _removed(self, device_id: str, removed: session_pb2.BlobsRemoved) -> None:
        await self.jobs.check_device(removed.job_id, device_id)
        told = removal_text(removed)
        await self.store.call(lambda store: store.fleet.log.append(device_id, "confidential_removed", told))

    async def _find_bases(self, digest: str, held: Sequence[str]) -> Sequence[str]:
        return await self.store.call(find_bases, digest, held)

    async def _device_may_download(self, grant: blob_pb2.BlobGrant, digest: str) -> None:
        if require_blob_owner(grant):
            return
        if digest not in self.jobs.blobs_of(grant.job_id, grant.device_id):
            raise BlobRefusedError(
                "not_in_job", f"blob {digest[:12]} is not named by job {grant.job_id[:12]} of this device"
            )
        await self._refuse_stale(grant)

    async def _device_may_upload(self, grant: blob_pb2.BlobGrant, digest: str, size_bytes: int) -> None:
        if not require_blob_owner(grant):
            await self.jobs.check_device(grant.job_id, grant.device_id)
            await self._refuse_stale(grant)
            self._upload_quota.take(grant.job_id, digest, size_bytes)

    async def _refuse_stale(self, grant: blob_pb2.BlobGrant) -> None:
        try:
            await self.fence.require_current(grant.device_id, grant.job_id, grant.epoch)
        except StaleEpochError as error:
            raise BlobRefusedError(error.reason, str(error)) from error

"""The doors of a controller beside its port of loopback and its socket, and who may come in by any of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio

from steelyard.fleet.blob_servicer import BlobRefusedError
from steelyard.identity.errors import IdentityError
from steelyard.membership.access_list import AccessList
from steelyard.membership.addresses import machine_interfaces, reachable_addresses
from steelyard.membership.administration import Administration
from steelyard.membership.caller import CURRENT_CALLER, require_device
from steelyard.membership.live_calls import LiveCalls
from steelyard.membership.terms import Terms
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import blob_pb2, session_pb2

if TYPE_CHECKING:
    from steelyard.fleet.secure_servers import SecureServers
    from steelyard.membership.admission import Admission
    from steelyard.membership.authorities import Authorities


class Doors:
    """Holds what decides about callers; opens the two ports where they are wanted. Used from one event loop."""

    def __init__(
        self,
        *,
        controller_id: str,
        store: AsyncStore,
        terms: Terms | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._controller_id = controller_id
        self._store = store
        self._terms = terms if terms is not None else Terms()
        self._clock_ns = clock_ns
        self._servers: SecureServers | None = None
        self._advertised: Sequence[str] = ()
        # "HOST:PORT" where the two ports listen, "" while they are closed.
        self.secure_address = ""
        self.enroll_address = ""
        self.authorities: Authorities | None = None
        self.admission: Admission | None = None
        self.access = AccessList(controller_id, clock_ns)
        self.live_calls = LiveCalls(clock_ns)
        self.administration = Administration(
            store=store, access=self.access, live_calls=self.live_calls, terms=self._terms, clock_ns=clock_ns
        )

    async def load(self) -> None:
        """Read from the store who may come in."""
        self.access.load(await self._store.call(lambda store: store.access.snapshot()))

    def bind(
        self,
        identity_folder: Path,
        *,
        secure_listen: str,
        enroll_listen: str,
        advertised: Sequence[str],
        add_services: Callable[[grpc.aio.Server], None],
    ) -> None:
        """Take both ports; ``start`` lets callers in.

        Raises:
            PortTakenError: Another program listens there.
            IdentityError: The keys cannot be used.
        """
        from steelyard.fleet.secure_servers import SecureServers
        from steelyard.identity.folder import IdentityFolder
        from steelyard.membership.admission import Admission
        from steelyard.membership.authorities import Authorities

        authorities = Authorities(
            folder=IdentityFolder(identity_folder),
            controller_id=self._controller_id,
            store=self._store,
            access=self.access,
            live_calls=self.live_calls,
            terms=self._terms,
            clock_ns=self._clock_ns,
        )
        admission = Admission(
            controller_id=self._controller_id,
            store=self._store,
            access=self.access,
            live_calls=self.live_calls,
            authorities=authorities,
            terms=self._terms,
            addresses=self.addresses,
            clock_ns=self._clock_ns,
        )
        servers = SecureServers(
            access=self.access, live_calls=self.live_calls, authorities=authorities, admission=admission
        )
        add_services(servers.server)
        self.secure_address, self.enroll_address = servers.bind(secure_listen, enroll_listen)
        self._advertised = tuple(advertised)
        self._servers = servers
        self.authorities = authorities
        self.admission = admission
        self.administration.open_doors(authorities, lambda: self.addresses()[1])

    async def start(self) -> None:
        """Let callers in where ports were taken."""
        if self._servers is not None:
            await self._servers.start()

    async def stop(self) -> None:
        """Close both ports."""
        if self._servers is not None:
            await self._servers.stop()

    def addresses(self) -> tuple[list[str], list[str]]:
        """Return what devices can dial: of the port with certificates, and of the enrollment port."""
        if not self.secure_address:
            return [], []
        # Looked at anew: a laptop changes networks.
        interfaces, host_name = machine_interfaces(), socket.gethostname()

        def reachable(listen: str, advertised: Sequence[str]) -> list[str]:
            return reachable_addresses(listen, advertised=advertised, interfaces=interfaces, host_name=host_name)

        # A port that was named is that of sessions; the enrollment port keeps its own.
        hosts = [one if one.endswith("]") or ":" not in one else one.rpartition(":")[0] for one in self._advertised]
        return reachable(self.secure_address, self._advertised), reachable(self.enroll_address, hosts)

    async def require_hello(self, hello: session_pb2.Hello) -> None:
        """Let a session begin, under the name that the device has here.

        Raises:
            IdentityError: ``another_device``, ``device_suspended``, ``device_removed``; by the port of loopback also
                ``certificate_needed`` and ``name_taken``.
        """
        device_id = hello.device.device_id
        caller = require_device(device_id)
        self.access.require_standing(device_id)
        if caller is not None:
            name = await self._store.call(lambda store: store.access.note_shown(caller.serial, device_id))
            self.access.note_enrolled(device_id)
            # A restored controller may know a device by its certificate alone.
            hello.device.name = name or hello.device.name
            return
        if self.access.is_enrolled(device_id):
            raise IdentityError(
                "certificate_needed",
                f"device {device_id} is enrolled, and is taken with its certificate only: run `steelyard-agent run` "
                "without --controller",
            )
        wished = hello.device.name
        owner = await self._store.call(lambda store: store.access.enrolled_as(wished))
        if owner not in {None, device_id}:
            raise IdentityError(
                "name_taken",
                f"the name {wished[:80]!r} is an enrolled device's; give this one another with --name",
            )


def require_blob_owner(grant: blob_pb2.BlobGrant) -> bool:
    """Say whether a person asks for blobs, whose role was looked at; a device must be the grant's.

    Raises:
        BlobRefusedError: ``another_device``.
    """
    caller = CURRENT_CALLER.get()
    if caller is not None and caller.subject.kind == "user":
        return True
    try:
        require_device(grant.device_id)
    except IdentityError as error:
        raise BlobRefusedError(error.reason, str(error)) from error
    return False

"""Suggests this controller's addresses by mDNS. Whoever hears it trusts nothing of it: certificates decide."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from steelyard.errors import UsageError

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

_log = logging.getLogger(__name__)

SERVICE_TYPE = "_steelyard._tcp.local."


class Announcement:
    """Announces for as long as its context lasts. Used from one event loop."""

    def __init__(
        self,
        *,
        controller_id: str,
        addresses: Sequence[str],
        enroll_port: int,
        interfaces: Sequence[str] | None = None,
    ) -> None:
        """Prepare.

        Args:
            controller_id: Devices that are enrolled look for it.
            addresses: "HOST:PORT" of the port with certificates; host names among them are left out.
            enroll_port: Of the same hosts.
            interfaces: Addresses of the interfaces to announce on; None for all.

        Raises:
            UsageError: ``nothing_to_announce``.
        """
        hosts = [one.rpartition(":")[0].strip("[]") for one in addresses]
        self._hosts = [host for host in hosts if _is_address(host)]
        if not self._hosts:
            raise UsageError(
                "nothing_to_announce", f"none of {list(addresses)} is an address to announce; listen on 0.0.0.0:7443"
            )
        self._port = int(addresses[0].rpartition(":")[2])
        self._controller_id = controller_id
        self._enroll_port = enroll_port
        self._interfaces = interfaces
        self._zeroconf: AsyncZeroconf | None = None
        self._info: AsyncServiceInfo | None = None

    async def __aenter__(self) -> Self:
        """Begin to announce.

        Raises:
            UsageError: ``discovery_missing`` without zeroconf, ``announcement_failed``.
        """
        try:
            from zeroconf import InterfaceChoice
            from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf
        except ImportError as error:
            raise UsageError(
                "discovery_missing", "--announce needs zeroconf: run `pip install 'steelyard[discovery]'`"
            ) from error
        self._info = AsyncServiceInfo(
            SERVICE_TYPE,
            f"{self._controller_id}.{SERVICE_TYPE}",
            port=self._port,
            parsed_addresses=self._hosts,
            properties={"id": self._controller_id, "enroll": str(self._enroll_port)},
            server=f"{socket.gethostname().partition('.')[0]}.local.",
        )
        try:
            self._zeroconf = AsyncZeroconf(
                interfaces=list(self._interfaces) if self._interfaces is not None else InterfaceChoice.All
            )
            registered = await self._zeroconf.async_register_service(self._info)
            await registered
        except OSError as error:
            raise UsageError(
                "announcement_failed",
                f"mDNS cannot be used here ({error}); leave --announce out, addresses work as well",
            ) from error
        _log.info("announced %s at %s by mDNS", self._controller_id[:8], ", ".join(self._hosts))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zeroconf is not None:
            await self._zeroconf.async_close()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

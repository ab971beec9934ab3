"""The way to the controller as jobs see it, whichever session is open at the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.port import HeldBlobs, TransferGrant
from steelyard_agent.link.outgoing import Outgoing
from steelyard_protocol.v1.session_pb2 import ConnectRequest

if TYPE_CHECKING:
    import grpc.aio

    from steelyard_agent.link.blobs import BlobClient


@dataclass(slots=True, kw_only=True)
class _Open:
    outgoing: Outgoing
    channel: grpc.aio.Channel
    device_id: str
    # Made with the first transfer: an agent that idles moves no blobs.
    blobs: BlobClient | None = None


class GrpcPort:
    """Implements ``ControllerPort`` over the session that is open, if one is."""

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._connected = asyncio.Event()

    def opened(self, outgoing: Outgoing, channel: grpc.aio.Channel, *, device_id: str) -> None:
        """A session was welcomed; blobs take the same channel."""
        self._open = _Open(outgoing=outgoing, channel=channel, device_id=device_id)
        self._connected.set()

    def closed(self) -> None:
        """The session is over."""
        self._open = None
        self._connected.clear()

    @property
    def connected(self) -> bool:
        """True while a session is open and welcomed."""
        return self._open is not None

    async def wait_connected(self) -> None:
        """Wait until a session is open."""
        await self._connected.wait()

    def tell(self, message: ConnectRequest, *, on_read: Callable[[], None] | None = None) -> bool:
        """See ``ControllerPort.tell``."""
        if self._open is None:
            return False
        self._open.outgoing.put(message, on_read=on_read)
        return True

    async def settle(self) -> None:
        """See ``ControllerPort.settle``."""
        if self._open is not None:
            await self._open.outgoing.settle()

    async def download(
        self,
        digest: str,
        *,
        offset: int,
        size_bytes: int,
        grant: TransferGrant,
        write: Callable[[bytes], object],
        held: HeldBlobs | None = None,
    ) -> None:
        """See ``ControllerPort.download``."""
        await self._blobs().download(digest, offset=offset, size_bytes=size_bytes, grant=grant, write=write, held=held)

    async def upload(self, digest: str, path: Path, *, grant: TransferGrant) -> None:
        """See ``ControllerPort.upload``."""
        await self._blobs().upload(digest, path, grant=grant)

    def _blobs(self) -> BlobClient:
        opened = self._open
        if opened is None:
            raise LinkDownError("the controller is not connected")
        if opened.blobs is None:
            from steelyard_agent.link.blobs import BlobClient

            opened.blobs = BlobClient(opened.channel, device_id=opened.device_id)
        return opened.blobs

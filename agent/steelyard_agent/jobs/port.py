"""What jobs need from the link. ``steelyard_agent.link`` offers it over gRPC, tests from memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from steelyard_protocol.v1.session_pb2 import ConnectRequest


class HeldBlobs(Protocol):
    """Blobs on this device that may be the base of a delta."""

    def offered(self, size_bytes: int) -> tuple[str, ...]:
        """Return the digests of those that a blob of so many bytes may be a delta to, as far as memory allows."""
        ...

    def content(self, digest: str) -> bytes | None:
        """Return the verified bytes of one, None when it is gone or damaged. Reads all of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferGrant:
    """Why this device may read or write a blob: the job that names it and the epoch of its lease."""

    job_id: str
    epoch: int


class ControllerPort(Protocol):
    """The way to the controller, which may be down at any moment."""

    @property
    def connected(self) -> bool:
        """True while a session is open and welcomed."""
        ...

    async def wait_connected(self) -> None:
        """Wait until a session is open."""
        ...

    def tell(self, message: ConnectRequest, *, on_read: Callable[[], None] | None = None) -> bool:
        """Queue a message; False, and nothing is queued, while the link is down.

        ``on_read`` is called when the controller acknowledges this very message.
        """
        ...

    async def settle(self) -> None:
        """Wait until queued messages are on the wire, a bounded time."""
        ...

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
        """Fetch a blob from ``offset`` on, calling ``write`` with each chunk; it may be a delta to one of ``held``.

        Raises:
            LinkDownError: It broke off or made no progress; resume from what was written.
            TransferRefusedError: The controller does not serve it, or serves another size.
        """
        ...

    async def upload(self, digest: str, path: Path, *, grant: TransferGrant) -> None:
        """Send the file at ``path`` under ``digest``, from where the controller already has it.

        Raises:
            LinkDownError: It broke off or made no progress.
            TransferRefusedError: The controller does not take it.
        """
        ...

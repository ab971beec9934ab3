"""What the agent says on a stream: numbered, bounded in size, written by one task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from steelyard_agent.errors import AgentError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_protocol.v1.session_pb2 import Acknowledgement, ConnectRequest

_log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 64 * 1024
# What a block waits at most for its announcement to leave before it is timed.
_SETTLE_S = 0.5


class MessageTooLargeError(AgentError):
    """A control message that must travel as a blob instead; a bug of ours."""

    exit_code = 70


class Outgoing:
    """The queue in front of one stream. gRPC ends a stream on which two writes meet: only ``write_all`` writes.

    Messages wait while a block is timed.
    """

    def __init__(self, gate: QuietGate) -> None:
        self._gate = gate
        self._queue: asyncio.Queue[ConnectRequest] = asyncio.Queue()
        self._last_id = 0
        self._unread: dict[int, tuple[str, Callable[[], None] | None]] = {}

    def put(self, message: ConnectRequest, *, on_read: Callable[[], None] | None = None) -> None:
        """Number a message and queue it; ``on_read`` is called when it is acknowledged.

        Raises:
            MessageTooLargeError: It is over 64 KiB; it is not sent.
        """
        message.message_id = self._last_id + 1
        kind = message.WhichOneof("payload") or "empty message"
        if message.ByteSize() > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(
                "message_too_large",
                f"a {kind} of {message.ByteSize()} bytes is over the limit of {MAX_MESSAGE_BYTES}; send it as a blob",
            )
        self._last_id += 1
        if kind != "acknowledgement":
            self._unread[self._last_id] = (kind, on_read)
        self._queue.put_nowait(message)

    def acknowledge(self, message_id: int) -> None:
        """Tell the controller that its message was read."""
        self.put(ConnectRequest(acknowledgement=Acknowledgement(message_id=message_id)))

    def acknowledged(self, message_id: int) -> None:
        """Take note that the controller read a message of ours."""
        kind, on_read = self._unread.pop(message_id, ("", None))
        if not kind:
            _log.debug("message %d was acknowledged but never sent", message_id)
        if on_read is not None:
            on_read()

    def log_unread(self) -> None:
        """Say what was never acknowledged: it is not sent again, both sides reconcile at the next hello."""
        if self._unread:
            kinds = ", ".join(kind for kind, _ in self._unread.values())
            # Nothing for a person to do: a goodbye and the hello of a dial that failed are always among them.
            _log.debug("not acknowledged: %s", kinds)

    async def settle(self) -> None:
        """Wait until everything queued is written, half a second at most."""
        joined = asyncio.ensure_future(self._queue.join())
        try:
            await asyncio.wait({joined}, timeout=_SETTLE_S)
        finally:
            joined.cancel()

    async def write_all(self, write: Callable[[ConnectRequest], Awaitable[object]]) -> None:
        """Write what is queued, one after the other, until cancelled or until ``write`` raises."""
        while True:
            message = await self._queue.get()
            await self._gate.quiet_over()
            await write(message)
            self._queue.task_done()

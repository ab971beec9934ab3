"""A relay of TCP on loopback that counts what passes: the bytes of a conversation, without those of TCP and IP."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

_READ_BYTES = 64 * 1024


class CountingRelay:
    """Passes each connection on to one address, "HOST:PORT". Used from one event loop; an async context manager."""

    def __init__(self, address: str) -> None:
        """Pass on to ``address``; nothing listens before the context is entered."""
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        # Both directions together.
        self.passed_bytes = 0

    @property
    def address(self) -> str:
        """Where to connect."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.ensure_future(self._pass(source, sink))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            # Either end may be killed at any moment: the other hears of it by the close below.
            with suppress(ConnectionError):
                while chunk := await source.read(_READ_BYTES):
                    self.passed_bytes += len(chunk)
                    sink.write(chunk)
                    await sink.drain()
        finally:
            sink.close()

"""The networks of a fleet: one shaping proxy a device, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self

from tests.support.shaping_proxy import Shape, ShapingProxy, shaping_proxy


class Networks:
    """Runs within its context; every method may be called from the thread that made it."""

    def __init__(self, controller_port: int, count: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-networks")
        self._stack = AsyncExitStack()
        self._controller_port = controller_port
        self._count = count
        self.proxies: list[ShapingProxy] = []

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(20)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    async def _open(self) -> None:
        for _ in range(self._count):
            self.proxies.append(await self._stack.enter_async_context(shaping_proxy(self._controller_port, Shape())))

    def cut(self, index: int) -> None:
        self._do(self.proxies[index].cut)

    def stall(self, index: int) -> None:
        self._do(self.proxies[index].stall)

    def go_on(self, index: int) -> None:
        self._do(self.proxies[index].go_on)

    def go_silent(self, index: int) -> None:
        self._do(self.proxies[index].go_silent)

    def delay(self, index: int, delay_s: float) -> None:
        def change() -> None:
            self.proxies[index].shape = Shape(delay_s=delay_s)

        self._do(change)

    def _do(self, what: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(what)

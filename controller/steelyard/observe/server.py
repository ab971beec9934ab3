"""The port where Prometheus asks: plain HTTP in threads of its own, figures from the controller's event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from steelyard import __version__
from steelyard.fleet.ports import refuse_taken_port
from steelyard.observe.figures import Figures, take_figures
from steelyard.observe.prometheus import make_registry

if TYPE_CHECKING:
    from steelyard.control.controller import Controller

# Less than Prometheus waits for a scrape (10 s unless it is told otherwise).
_ANSWER_TIMEOUT_S = 5.0


@asynccontextmanager
async def metrics_server(controller: Controller, host: str, port: int) -> AsyncIterator[str]:
    """Answer scrapes while the context lasts; yields "127.0.0.1:9433". ``port`` 0 takes a free one.

    Raises:
        UsageError: ``extra_missing``.
        PortTakenError: Another program listens there.
    """
    loop = asyncio.get_running_loop()

    def take() -> Figures:
        asked = asyncio.run_coroutine_threadsafe(take_figures(controller, __version__), loop)
        try:
            return asked.result(_ANSWER_TIMEOUT_S)
        except concurrent.futures.TimeoutError as error:
            asked.cancel()
            raise TimeoutError(f"the controller did not answer within {_ANSWER_TIMEOUT_S:g} s") from error

    registry = make_registry(take)
    from prometheus_client import start_http_server

    if port:
        refuse_taken_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "metrics_listen")
    server, thread = start_http_server(port, addr=host, registry=registry)
    try:
        yield f"{host}:{server.server_port}"
    finally:
        # Waits for the loop of the server, which may itself wait for figures of this loop: not on it.
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)

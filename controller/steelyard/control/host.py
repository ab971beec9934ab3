"""A controller inside a command: it takes the state directory, serves as `serve` would, and lets go at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from steelyard.control.controller import Controller
from steelyard.errors import SteelyardError
from steelyard.fleet.allocator import tune_allocator
from steelyard.settings import Settings
from steelyard.store.guests import GuestLock

_STOP_TIMEOUT_S = 30.0


class ControllerHost:
    """Runs a controller's event loop in a thread of its own, so that a synchronous client can talk to it."""

    def __init__(self, settings: Settings, *, on_guests: Callable[[], None] = lambda: None) -> None:
        """Prepare; ``on_guests`` is called once when ``stop`` has to wait for other commands."""
        self._settings = settings
        self._on_guests = on_guests
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="steelyard-controller", daemon=True)
        self._started: Future[None] = Future()
        self._controller: Controller | None = None

    def start(self) -> None:
        """Start the controller; raises what its start raises."""
        self._thread.start()
        self._started.result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
        except BaseException as error:  # noqa: BLE001  (handed to the thread that waits in start)
            self._started.set_exception(error)
            self._loop.close()
            return
        self._started.set_result(None)
        self._loop.run_forever()
        self._loop.close()

    async def _start(self) -> None:
        tune_allocator()
        self._controller = Controller(self._settings, temporary=True)
        await self._controller.start()

    def stop(self) -> None:
        """Stop the controller and its local agent, and wait for both; other commands that use them end first.

        An interrupt ends that waiting; what the others asked for is then taken up by the next `steelyard serve`.
        """
        if self._controller is None or not self._thread.is_alive():
            return
        try:
            guests = GuestLock(self._settings.state_directory)
        except SteelyardError:
            # Nobody can have come in without it.
            self._stop_now()
            raise
        try:
            if not guests.try_leave():
                self._on_guests()
                guests.wait_for_guests()
        finally:
            self._stop_now()
            guests.release()

    def _stop_now(self) -> None:
        assert self._controller is not None
        asyncio.run_coroutine_threadsafe(self._controller.stop(), self._loop).result(_STOP_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_TIMEOUT_S)

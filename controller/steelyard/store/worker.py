"""The store behind an event loop: one thread owns it, calls wait in a queue, and those that wait share a commit."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from steelyard.errors import UsageError
from steelyard.store.errors import StoreError
from steelyard.store.store import Store

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

# A commit flushes the disk (milliseconds on an SSD, tens on an SD card), so calls that came meanwhile share the next
# one. Nobody waits for company; the bound keeps the first call of a full queue from waiting for all the others.
_BATCH_WINDOW_S = 0.05
_BATCH_MAX_CALLS = 64
# A log that grows, another program's files: such a spell of a full disk must not end what runs for hours.
_ROOM_WAIT_S = 120.0
_ROOM_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class _Call(Generic[_T]):
    run: Callable[[Store], _T]
    future: Future[_T]


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: BaseException | None = None


class _BatchAbandonedError(Exception):
    """A call in a batch met a failure of the database; the batch is rolled back."""


class AsyncStore:
    """``await store.call(Store.method, ...)`` runs the method in the store's thread, in the order of the calls.

    When the await returns, what the call wrote is on the disk. A call that is cancelled while it waits in the queue is
    not run; one that the thread has taken up is finished. Use it from one event loop.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        room_wait_s: float = _ROOM_WAIT_S,
        room_look_s: float = _ROOM_LOOK_S,
    ) -> None:
        """Prepare; ``open`` starts the thread. The first two arguments are those of ``Store``.

        ``call_when_room`` waits ``room_wait_s`` for room, and looks every ``room_look_s``.
        """
        self._path = path
        self._clock_ns = clock_ns
        self._room_wait_s = room_wait_s
        self._room_look_s = room_look_s
        self._calls: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._opened: Future[None] = Future()
        # A daemon: a program that forgot to close must still end, and SQLite loses nothing that was acknowledged.
        self._thread = threading.Thread(target=self._run, name="steelyard-store", daemon=True)
        self._usable = False

    async def open(self) -> None:
        """Open the database as ``Store`` does, in a thread of its own. Once only.

        Raises:
            StoreError: As ``Store``.
        """
        self._thread.start()
        await asyncio.wrap_future(self._opened)
        self._usable = True

    async def call(self, method: Callable[Concatenate[Store, _P], _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a method of ``Store`` in the store's thread and return its result once it is on the disk.

        ``method`` may be any function of a store whose only effects are in the store: a failed batch runs again, call
        by call.

        Raises:
            StoreError: ``store_closed`` before ``open`` and after ``close``; else what the method raises.
        """
        if not self._usable:
            raise StoreError(
                "store_closed", f"the store {self._path} is not open; the controller is starting or ending"
            )
        future: Future[_T] = Future()
        self._calls.put(_Call(lambda store: method(store, *args, **kwargs), future))
        return await asyncio.wrap_future(future)

    async def call_when_room(
        self, method: Callable[Concatenate[Store, _P], _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Do what ``call`` does, tried again while the disk is full: for what a running job cannot do without.

        Raises:
            StoreError: As ``call``; ``disk_full`` when there was no room all the time.
        """
        deadline_s = time.monotonic() + self._room_wait_s
        is_told = False
        while True:
            try:
                return await self.call(method, *args, **kwargs)
            except StoreError as error:
                if error.reason != "disk_full" or time.monotonic() > deadline_s:
                    raise
                if not is_told:
                    is_told = True
                    _log.warning("waiting up to %g s for room: %s", self._room_wait_s, error)
            await asyncio.sleep(self._room_look_s)

    def waiting_call_count(self) -> int:
        """How many calls wait for the store's thread, about."""
        return self._calls.qsize()

    async def close(self) -> None:
        """Finish the calls that wait, then close the database; more calls are refused. A second close does nothing."""
        if self._usable:
            self._usable = False
            self._calls.put(None)
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        opened = _outcome(lambda: Store(self._path, clock_ns=self._clock_ns))
        if opened.error is not None:
            self._opened.set_exception(opened.error)
            return
        store: Store = opened.value
        self._opened.set_result(None)
        try:
            while (calls := self._next_calls()) is not None:
                _run_calls(store, [call for call in calls if call.future.set_running_or_notify_cancel()])
        finally:
            store.close()

    def _next_calls(self) -> list[_Call[Any]] | None:
        """Wait for a call and return it with those behind it; None at the end."""
        first = self._calls.get()
        if first is None:
            return None
        calls = [first]
        while len(calls) < _BATCH_MAX_CALLS and not self._calls.empty():
            following = self._calls.get()
            if following is None:
                self._calls.put(None)
                break
            calls.append(following)
        return calls


def _run_calls(store: Store, calls: Sequence[_Call[Any]]) -> None:
    """Run calls in order, together where that goes well, and tell each its own outcome."""
    while len(calls) > 1 and (told := _run_together(store, calls)):
        calls = calls[told:]
    for call in calls:
        _tell(call, _outcome(partial(call.run, store)))


def _run_together(store: Store, calls: Sequence[_Call[Any]]) -> int:
    """Run as many calls as fit into the window under one commit and return how many were told, 0 when it failed."""
    outcomes: list[_Outcome] = []
    deadline_s = time.monotonic() + _BATCH_WINDOW_S

    def run_all() -> None:
        with store.batch():
            for call in calls:
                if outcomes and time.monotonic() > deadline_s:
                    break
                outcomes.append(_outcome(partial(call.run, store)))
                # A wrong name is the caller's answer; its savepoint was rolled back. Anything else may have ended
                # the whole transaction (SQLite rolls back by itself when the disk is full).
                if not isinstance(outcomes[-1].error, UsageError | None):
                    raise _BatchAbandonedError

    if _outcome(run_all).error is not None:
        return 0
    for call, outcome in zip(calls, outcomes, strict=False):
        _tell(call, outcome)
    return len(outcomes)


def _outcome(run: Callable[[], Any]) -> _Outcome:
    try:
        return _Outcome(value=run())
    except BaseException as error:  # noqa: BLE001 - not ours: it is handed to the caller that waits for it
        return _Outcome(error=error)


def _tell(call: _Call[Any], outcome: _Outcome) -> None:
    if outcome.error is not None:
        call.future.set_exception(outcome.error)
    else:
        call.future.set_result(outcome.value)

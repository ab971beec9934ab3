"""Calls that are being served: ended when the caller's certificate expires or is revoked. gRPC would go on for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from steelyard.identity.errors import IdentityError
from steelyard.membership.access_list import expired
from steelyard.membership.caller import Caller


@dataclass(eq=False, slots=True, kw_only=True)
class LiveCall:
    """One call; ``refusal`` is set when it is ended from here."""

    caller: Caller
    task: asyncio.Task[object] = field(repr=False)
    refusal: IdentityError | None = None


class LiveCalls:
    """Used from one event loop."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._calls: set[LiveCall] = set()

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self, caller: Caller, task: asyncio.Task[object]) -> LiveCall:
        """Note a call that is served by a task."""
        call = LiveCall(caller=caller, task=task)
        self._calls.add(call)
        return call

    def finish(self, call: LiveCall) -> None:
        """Forget a call."""
        self._calls.discard(call)

    def end(self, whose: Callable[[Caller], bool], refusal: IdentityError) -> int:
        """Cancel the calls of some callers, whose tasks then answer with ``refusal``; return how many they are."""
        found = [call for call in self._calls if call.refusal is None and whose(call.caller)]
        for call in found:
            call.refusal = refusal
            call.task.cancel()
        return len(found)

    def end_expired(self) -> int:
        """End the calls whose certificate is past its end; to be called every few seconds."""
        now_ns = self._clock_ns()
        return self.end(lambda caller: caller.not_after_ns <= now_ns, expired())

"""Faults of the program itself, planted on purpose: a campaign that does not notice one would notice none."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

# Long enough for the next kill of the controller to come before.
_LATE_S = 3.0


class Flaw(Enum):
    """What a controller does wrong."""

    ACKNOWLEDGES_FIRST = "acknowledges a round before it is stored"


def plant(flaw: Flaw) -> None:
    """Let this process, which is to be a controller, have a flaw. Before it starts."""
    {Flaw.ACKNOWLEDGES_FIRST: _acknowledge_first}[flaw]()


def _acknowledge_first() -> None:
    from steelyard.analysis.record import parse_round
    from steelyard.control.results import Results

    record = Results.record
    kept: set[asyncio.Future[Any]] = set()

    async def record_late(self: Results, ready: Any) -> None:
        await asyncio.sleep(_LATE_S)
        await record(self, ready)

    async def acknowledge(self: Results, ready: Any) -> Any:
        kept.add(asyncio.ensure_future(record_late(self, ready)))
        return parse_round(self._blobs.read_bytes(ready.result_digest), ready.result_digest)

    Results.record = acknowledge  # type: ignore[method-assign]

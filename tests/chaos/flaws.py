"""Faults of the programs themselves, planted on purpose: a campaign that does not notice one would notice none."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

# Long enough for the next kill of the controller to come before.
_LATE_S = 3.0


class Flaw(Enum):
    """What a controller or an agent does wrong."""

    ACKNOWLEDGES_FIRST = "acknowledges a round before it is stored"
    FORGETS_REQUESTS = "makes another job of a request that comes again"
    KEEPS_LEASES = "lets no job go that ended"

    @property
    def module(self) -> str:
        """Whose flaw it is: the module that is run."""
        return "steelyard_agent" if self is Flaw.KEEPS_LEASES else "steelyard"


def plant(flaw: Flaw) -> None:
    """Let this process have a flaw. Before it starts."""
    {
        Flaw.ACKNOWLEDGES_FIRST: _acknowledge_first,
        Flaw.FORGETS_REQUESTS: _forget_requests,
        Flaw.KEEPS_LEASES: _keep_leases,
    }[flaw]()


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


def _forget_requests() -> None:
    import uuid

    from steelyard.store.store import Store

    create = Store.create_job

    def create_anew(self: Store, job: Any, request: bytes, _request_id: str) -> Any:
        # As after an answer that was lost: the request comes a second time.
        create(self, type(job).FromString(job.SerializeToString()), request, uuid.uuid4().hex)
        job.job_id = uuid.uuid4().hex
        return create(self, job, request, uuid.uuid4().hex)

    Store.create_job = create_anew  # type: ignore[method-assign]


def _keep_leases() -> None:
    from steelyard_agent.jobs.lease import LeaseKeeper

    def keep(self: LeaseKeeper) -> None:
        """The device stays whose it was."""

    LeaseKeeper.release = keep  # type: ignore[method-assign]

"""Making room: raw samples past their retention, then blobs that nothing names.

A blob goes when nothing in the database looks like its digest, and nobody brought or asked for it for the grace
period, nor since the oldest unfinished job began: what a device uploads is named only when its round arrives.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from steelyard.control.results import Results
from steelyard.errors import SteelyardError, UsageError
from steelyard.store.blobs import RENEW_S, BlobStore
from steelyard.store.references import find_referenced
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2, upkeep_pb2

_log = logging.getLogger(__name__)

DEFAULT_GRACE_S = 7 * 24 * 3600.0
# A blob's age may be wrong by RENEW_S; below this a slow client could lose an upload before it is registered.
MIN_GRACE_S = 6 * RENEW_S


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBlob:
    """A blob as the sweep saw it."""

    digest: str
    asked_at_s: float
    size_bytes: int


class Upkeep:
    """Collects the garbage of one controller. Used from its event loop, one collection at a time."""

    def __init__(
        self,
        *,
        store: AsyncStore,
        blobs: BlobStore,
        results: Results,
        database_path: Path,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._results = results
        self._database_path = database_path
        self._clock_ns = clock_ns
        self._running = False

    async def collect(self, request: upkeep_pb2.CollectGarbageRequest) -> upkeep_pb2.CollectGarbageResponse:
        """Remove what nobody needs, or say what would be removed.

        Raises:
            UsageError: ``bad_grace``, ``bad_retention`` or ``gc_running``.
            StoreError: The database or the blob folder failed; what was removed until then stays removed.
        """
        grace_s = request.grace_ms / 1000 or DEFAULT_GRACE_S
        if grace_s < MIN_GRACE_S:
            raise UsageError(
                "bad_grace",
                f"a grace period of {grace_s:g} s could take a blob from under an upload; give {MIN_GRACE_S:g} s or "
                "more",
            )
        if request.keep_samples_ms < 0:
            raise UsageError(
                "bad_retention", f"samples cannot be kept for {request.keep_samples_ms} ms; give a time such as 90d"
            )
        if self._running:
            raise UsageError("gc_running", "another `steelyard gc` runs on this controller; wait for its end")
        self._running = True
        try:
            return await self._collect(request, grace_s)
        finally:
            self._running = False

    async def _collect(
        self, request: upkeep_pb2.CollectGarbageRequest, grace_s: float
    ) -> upkeep_pb2.CollectGarbageResponse:
        response = upkeep_pb2.CollectGarbageResponse(dry_run=request.dry_run)
        now_ns = self._clock_ns()
        if request.keep_samples_ms:
            await self._remove_samples(request, now_ns - request.keep_samples_ms * 1_000_000, response)
        before_s = min([now_ns / 1e9 - grace_s, *await self._unfinished_since_s()])
        await asyncio.to_thread(self._sweep, before_s, response)
        return response

    async def _unfinished_since_s(self) -> list[float]:
        jobs = await self._store.call(Store.unfinished_jobs)
        # By as much earlier as an age may be wrong.
        return [job.created_at.ToNanoseconds() / 1e9 - RENEW_S for job in jobs]

    async def _remove_samples(
        self,
        request: upkeep_pb2.CollectGarbageRequest,
        finished_before_ns: int,
        response: upkeep_pb2.CollectGarbageResponse,
    ) -> None:
        kept: set[str] = set()
        for job in await self._store.call(Store.sampled_before, finished_before_ns):
            # A round that arrives from here on is in no figure, and stays.
            removed_at_ns = self._clock_ns()
            if not await self._store.call(Store.recorded_keys, job.job_id):
                continue
            extended = await self._extended(job)
            if job.job_id in kept:
                kept.add(extended)
                continue
            try:
                measurement = await self._results.measurement(job)
            except SteelyardError as error:
                kept.add(extended)
                response.kept_samples.add(job_id=job.job_id, reason=str(error))
                continue
            if not request.dry_run:
                digest = await asyncio.to_thread(self._blobs.put_bytes, measurement.SerializeToString())
                await self._store.call(Store.remove_samples, job.job_id, digest, removed_at_ns)
                _log.info("removed the raw samples of job %s", job.job_id)
            response.sampleless_job_ids.append(job.job_id)

    async def _extended(self, job: control_pb2.Job) -> str:
        request = await self._store.call(Store.get_request, job.job_id)
        return control_pb2.SubmitMeasurementRequest.FromString(request).extended_job_id

    def _sweep(self, before_s: float, response: upkeep_pb2.CollectGarbageResponse) -> None:
        """Mark and sweep; in a thread of its own. The ages are read before the marks, and again at each removal."""
        found = [
            KeptBlob(digest=digest, asked_at_s=age[0], size_bytes=age[1])
            for digest in self._blobs.digests()
            if (age := self._blobs.age(digest)) is not None
        ]
        response.blob_count, response.blob_bytes = _sum(found)
        named = find_referenced(
            self._database_path,
            {one.digest for one in found},
            self._blobs.read_bytes,
            let_go=frozenset(response.sampleless_job_ids) if response.dry_run else frozenset(),
        )
        response.referenced_blob_count, response.referenced_bytes = _sum(one for one in found if one.digest in named)
        unnamed = [one for one in found if one.digest not in named]
        young = [one for one in unnamed if one.asked_at_s >= before_s]
        response.young_blob_count, response.young_bytes = _sum(young)
        for one in unnamed:
            if one.asked_at_s < before_s:
                self._remove(one, before_s, response)
        if not response.dry_run:
            response.removed_partial_bytes = self._blobs.drop_abandoned()

    def _remove(self, one: KeptBlob, before_s: float, response: upkeep_pb2.CollectGarbageResponse) -> None:
        size_bytes = one.size_bytes if response.dry_run else self._blobs.sweep(one.digest, before_s=before_s)
        if size_bytes or not one.size_bytes:
            response.removed_blob_count += 1
            response.removed_bytes += size_bytes


def _sum(blobs: Iterable[KeptBlob]) -> tuple[int, int]:
    sizes = [one.size_bytes for one in blobs]
    return len(sizes), sum(sizes)

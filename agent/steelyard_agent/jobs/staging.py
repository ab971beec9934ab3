"""Brings the blobs of a plan onto the device: resumed where an earlier try broke off, verified, within the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard_agent.jobs.delta_bases import DeltaBases
from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.numeric_turn import numeric_blobs
from steelyard_agent.jobs.port import ControllerPort, TransferGrant
from steelyard_agent.state.blob_cache import BlobCache, DigestMismatchError
from steelyard_agent.state.errors import DiskFullError, is_disk_full
from steelyard_protocol.v1.plan_pb2 import Plan

_log = logging.getLogger(__name__)

_TRIES = 3
_RETRY_PAUSE_S = 1.0
# Progress is told whenever this much more is here: often enough for a person, rarely enough for the link.
_PROGRESS_STEP_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Stager:
    """Fetches blobs into a cache; ``report(detail, bytes_done, bytes_total)`` is told how far it is."""

    cache: BlobCache
    port: ControllerPort
    grant: TransferGrant
    report: Callable[[str, int, int], None]
    pause: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep

    async def stage(self, plan: Plan) -> dict[str, Path]:
        """Return where every blob of the plan lies, fetching what is not here yet.

        Raises:
            DiskFullError: There is no room; partial blobs of this plan are removed.
            DigestMismatchError: Three times the bytes were not those that were named.
            TransferRefusedError: The controller does not serve a blob.
            LinkDownError: Three tries in a row broke off without any progress.
        """
        wanted = wanted_blobs(plan)
        missing = {digest: size for digest, size in wanted.items() if not await self._is_here(digest)}
        try:
            await self._fetch_all(missing, keep=wanted)
        except DiskFullError:
            for digest in missing:
                self.cache.discard(digest)
            raise
        return {digest: self.cache.path(digest) for digest in wanted}

    async def _is_here(self, digest: str) -> bool:
        # Reads the whole file: off the event loop, which must go on answering the controller.
        return await asyncio.to_thread(self.cache.verified, digest)

    async def _fetch_all(self, missing: Mapping[str, int], *, keep: Mapping[str, int]) -> None:
        partial = {digest: self.cache.partial_size(digest) for digest in missing}
        needed = sum(max(0, size - partial[digest]) for digest, size in missing.items())
        self.cache.make_room(needed, keep=keep)
        total, done = sum(missing.values()), 0
        for digest, size in missing.items():
            async with self.cache.only_one_fetches(digest) as is_here:
                if not is_here:
                    await self._fetch(digest, size, _Progress(self.report, digest, done, total))
            done += size

    async def _fetch(self, digest: str, size_bytes: int, progress: _Progress) -> None:
        """Try until it is here; a try that brought something on before the link broke does not count."""
        failures = 0
        while True:
            await self.port.wait_connected()
            before = self.cache.partial_size(digest)
            try:
                await self._try_once(digest, size_bytes, progress)
            except (LinkDownError, DigestMismatchError) as error:
                broke_off_later = isinstance(error, LinkDownError) and self.cache.partial_size(digest) > before
                failures = 0 if broke_off_later else failures + 1
                _log.warning("fetching %s…: %s (failure %d of %d)", digest[:12], error, failures, _TRIES)
                if failures == _TRIES:
                    raise
                await self.pause(_RETRY_PAUSE_S * 2**failures)
            else:
                return

    async def _try_once(self, digest: str, size_bytes: int, progress: _Progress) -> None:
        if self.cache.partial_size(digest) > size_bytes:
            self.cache.discard(digest)
        offset = self.cache.partial_size(digest)
        progress.advance(offset)
        try:
            if offset < size_bytes:
                await self._append(digest, offset, size_bytes, progress)
            await asyncio.to_thread(self.cache.finish, digest)
        except OSError as error:
            if not is_disk_full(error):
                raise
            needed_bytes = size_bytes - self.cache.partial_size(digest)
            raise self.cache.no_room_for(needed_bytes) from error

    async def _append(self, digest: str, offset: int, size_bytes: int, progress: _Progress) -> None:
        with self.cache.open_partial(digest) as file:

            def write(chunk: bytes) -> None:
                file.write(chunk)
                progress.advance(file.tell())

            await self.port.download(
                digest,
                offset=offset,
                size_bytes=size_bytes,
                grant=self.grant,
                write=write,
                held=DeltaBases(cache=self.cache),
            )


class _Progress:
    """Turns the position in one blob into progress over all of them, told in steps."""

    def __init__(self, report: Callable[[str, int, int], None], digest: str, done_before: int, total: int) -> None:
        self._report = report
        self._detail = f"{digest[:12]}…"
        self._done_before = done_before
        self._total = total
        self._told = -_PROGRESS_STEP_BYTES

    def advance(self, position: int) -> None:
        done = self._done_before + position
        if done - self._told >= _PROGRESS_STEP_BYTES or done == self._total:
            self._told = done
            self._report(self._detail, done, self._total)


def wanted_blobs(plan: Plan) -> dict[str, int]:
    """Return the size in bytes of every blob that the plan names, by digest."""
    wanted = {artifact.artifact_digest: artifact.size_bytes for artifact in plan.artifacts}
    if plan.inputs.data_digest:
        wanted[plan.inputs.data_digest] = plan.inputs.data_size_bytes
    if plan.HasField("evaluation"):
        wanted[plan.evaluation.data_digest] = plan.evaluation.data_size_bytes
    for model in plan.roofline.models:
        wanted[model.artifact_digest] = model.size_bytes
    return wanted | numeric_blobs(plan)

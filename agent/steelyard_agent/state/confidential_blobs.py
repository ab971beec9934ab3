"""Blobs that do not outlive their job: marked before they are fetched, so that no crash makes one of them stay.

A marker ``DIGEST.confidential`` lies beside the blob and says whose job it is; it goes when the controller has heard
that the blob went. Removing unlinks: flash keeps the bytes until it erases their block, which only an encrypted disk
makes up for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from steelyard_agent.state.durable import remove_tree, sync_folder, write_durably

_log = logging.getLogger(__name__)

SUFFIX: Final = ".confidential"
# Of a folder of the cache of compiled models.
COMPILED_MARKER: Final = "confidential"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobOwner:
    """The job that brought a confidential blob; ``controller_id`` as in the outbox."""

    controller_id: str
    job_id: str
    attempt: int


class ConfidentialBlobs:
    """The confidential ones among the blobs of a folder, and what was compiled of them. Not thread safe."""

    def __init__(self, folder: Path, *, compiled: Path) -> None:
        """Watch over ``folder``; ``compiled`` is the root of the cache of compiled models, which may be missing."""
        self._folder = folder
        self._compiled = compiled

    def mark(self, digests: Collection[str], owner: BlobOwner) -> None:
        """Take note, durably, that these blobs go with their job, whether they are here or yet to come.

        Raises:
            OSError: They cannot be marked, and must not be fetched.
        """
        for digest in digests:
            write_durably(self._marker(digest), json.dumps(asdict(owner)).encode("utf-8"))

    def remove(self, *, controller_id: str | None = None, job_id: str | None = None) -> None:
        """Remove the blobs of a job, whole or in part; None: of any.

        What cannot be removed is logged, and tried again at the next start.
        """
        found = [
            path
            for marker, owner in self._markers()
            if controller_id in {None, owner.controller_id} and job_id in {None, owner.job_id}
            for path in _blob_files(marker)
            if path.exists()
        ]
        try:
            for path in found:
                path.unlink(missing_ok=True)
            if found:
                sync_folder(self._folder)
        except OSError as error:
            _log.warning("confidential blobs in %s could not be removed: %s", self._folder, error)

    def remove_compiled(self) -> None:
        """Remove what was compiled of confidential models; only while no job has the device."""
        for marker in self._compiled.glob(f"*/{COMPILED_MARKER}"):
            remove_tree(marker.parent)

    def removed(self, controller_id: str) -> dict[BlobOwner, list[str]]:
        """Return the blobs that went and that the controller has not heard of yet, by job."""
        found: dict[BlobOwner, list[str]] = {}
        for marker, owner in self._markers():
            if owner.controller_id == controller_id and not any(path.exists() for path in _blob_files(marker)):
                found.setdefault(owner, []).append(marker.name.removesuffix(SUFFIX))
        return found

    def forget(self, digests: Collection[str], owner: BlobOwner) -> None:
        """Take note that the controller has heard of it; those that another job has marked since stay marked."""
        for marker, now in self._markers():
            if now == owner and marker.name.removesuffix(SUFFIX) in digests:
                marker.unlink(missing_ok=True)

    def _markers(self) -> list[tuple[Path, BlobOwner]]:
        return [(path, _owner(path)) for path in sorted(self._folder.glob(f"*{SUFFIX}"))]

    def _marker(self, digest: str) -> Path:
        return self._folder / f"{digest}{SUFFIX}"


def _blob_files(marker: Path) -> tuple[Path, Path]:
    return marker.with_suffix(""), marker.with_suffix(".partial")


def _owner(marker: Path) -> BlobOwner:
    try:
        return BlobOwner(**json.loads(marker.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        # Whose it was is lost; what it marks goes all the same.
        return BlobOwner(controller_id="", job_id="", attempt=0)

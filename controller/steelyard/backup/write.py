"""Writing a copy of a state directory whose controller may run."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from steelyard import __version__
from steelyard.backup.contents import BLOBS, DATABASE, IDENTITY, MANIFEST, Manifest
from steelyard.backup.errors import BackupError
from steelyard.errors import NotFoundError
from steelyard.store.blobs import BlobStore
from steelyard.store.durable import disk_errors, flush_file, flush_folder
from steelyard.store.references import find_referenced
from steelyard.store.snapshot import copy_database
from steelyard.store.store import Store

# A `steelyard gc` beside us may remove samples that the snapshot names; the next snapshot does not name them any more.
_MAX_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is in a copy, and which blobs are not, because their bytes are no longer what their name says."""

    manifest: Manifest
    damaged_digests: tuple[str, ...]


def write_backup(state_directory: Path, path: Path, now: datetime, *, passphrase: str | None = None) -> Written:
    """Write a copy to ``path``, whole or not at all: the database as of one moment, and every blob that it names.

    Args:
        state_directory: Of a controller that runs, or does not.
        path: What is there is written over. Its disk takes the database twice for a while.
        now: In UTC.
        passphrase: Puts the identity folder in, encrypted by it; None leaves it out.

    Raises:
        BackupError: ``no_state``, ``no_identity``, ``state_changes``.
        IdentityError: ``weak_passphrase``.
        StoreError: A database or a disk failed.
    """
    if not (state_directory / DATABASE).is_file():
        raise BackupError(
            "no_state", f"{state_directory} holds no controller's state; name another one with --state-directory"
        )
    identity = _sealed_identity(state_directory / "identity", passphrase) if passphrase is not None else None
    for _ in range(_MAX_TRIES):
        with disk_errors(path.parent), tempfile.TemporaryDirectory(prefix=".steelyard-", dir=path.parent) as work:
            try:
                return _write(state_directory, path, Path(work), now, identity)
            except NotFoundError:
                continue
    raise BackupError(
        "state_changes",
        f"blobs of {state_directory} were removed while they were copied, {_MAX_TRIES} times; wait until `steelyard "
        "gc` ends",
    )


def _write(state_directory: Path, path: Path, work: Path, now: datetime, identity: bytes | None) -> Written:
    database = work / DATABASE
    blobs = BlobStore(state_directory / "blobs", read_only=True)
    # What is removed after this is missed below; what is brought after the snapshot is not named by it.
    candidates = set(blobs.digests())
    copy_database(state_directory / DATABASE, database, place=path.parent)
    candidates |= set(blobs.digests())
    # Brings the copy to this program's schema, where an older program is the controller.
    store = Store(database)
    controller_id = store.controller_id("unknown")
    store.close()
    named = sorted(find_referenced(database, candidates, blobs.read_bytes))
    sizes, damaged = _looked_at(blobs, named)
    manifest = Manifest(
        controller_id=controller_id,
        version=__version__,
        taken_at=now.isoformat(timespec="seconds"),
        database_digest=_digest(database),
        database_bytes=database.stat().st_size,
        blob_count=len(sizes),
        blob_bytes=sum(sizes.values()),
        with_identity=identity is not None,
    )
    partial = work / "partial.tar"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        _fill(file, manifest, database, identity, blobs, sizes)
        file.flush()
        flush_file(file.fileno())
    partial.replace(path)
    flush_folder(path.parent)
    return Written(manifest=manifest, damaged_digests=tuple(damaged))


def _looked_at(blobs: BlobStore, named: list[str]) -> tuple[dict[str, int], list[str]]:
    """Return the sizes of the blobs that are whole, and the digests of those that are not."""
    sizes: dict[str, int] = {}
    damaged = []
    for digest in named:
        place = blobs.path(digest)
        if _digest(place) == digest:
            sizes[digest] = place.stat().st_size
        else:
            damaged.append(digest)
    return sizes, damaged


def _fill(
    file: io.BufferedWriter,
    manifest: Manifest,
    database: Path,
    identity: bytes | None,
    blobs: BlobStore,
    sizes: Mapping[str, int],
) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add_bytes(archive, MANIFEST, manifest.to_bytes())
        _add_file(archive, DATABASE, database, manifest.database_bytes)
        if identity is not None:
            _add_bytes(archive, IDENTITY, identity)
        for digest, size_bytes in sizes.items():
            _add_file(archive, f"{BLOBS}{digest}", blobs.path(digest), size_bytes)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_member(name, len(content)), io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, path: Path, size_bytes: int) -> None:
    try:
        content = path.open("rb")
    except FileNotFoundError as error:
        raise NotFoundError("blob_not_found", f"{path} went while it was copied; try again") from error
    with content:
        archive.addfile(_member(name, size_bytes), content)


def _member(name: str, size_bytes: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size_bytes, 0o600
    return member


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise NotFoundError("blob_not_found", f"{path} went while it was copied; try again") from error


def _sealed_identity(folder: Path, passphrase: str) -> bytes:
    from steelyard.identity.folder_archive import seal_files

    with disk_errors(folder):
        files = {one.name: one.read_bytes() for one in sorted(folder.glob("*.pem"))}
    if not files:
        raise BackupError(
            "no_identity",
            f"{folder} holds no keys: this controller never listened off loopback; leave --with-identity out",
        )
    return seal_files(files, passphrase)

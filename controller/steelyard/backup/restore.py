"""A copy back into a state directory: everything verified before the directory is there."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from steelyard.backup.contents import BLOBS, DATABASE, IDENTITY, MANIFEST, MAX_MANIFEST_BYTES, Manifest, parse_manifest
from steelyard.backup.errors import BackupError
from steelyard.errors import UsageError
from steelyard.store.blobs import CHUNK_BYTES, BlobStore
from steelyard.store.durable import disk_errors, flush_file, flush_folder, require_free_bytes
from steelyard.store.names import is_digest
from steelyard.store.snapshot import check_database
from steelyard.store.store import Store

_KEY_FILE = re.compile(r"[a-z][a-z0-9-]*\.pem")
_MAX_IDENTITY_BYTES = 1024 * 1024


def read_manifest(path: Path) -> Manifest:
    """Return what a backup says of itself, unverified.

    Raises:
        BackupError: ``not_a_backup``, ``backup_newer`` or ``unreadable_file``.
    """
    with _opened(path) as file, _tar_errors(path):
        return parse_manifest(_first(_members(file, path)))


def restore_backup(path: Path, state_directory: Path, *, passphrase: str | None = None) -> Manifest:
    """Make a state directory of a backup, or leave nothing behind.

    Args:
        path: What ``write_backup`` wrote.
        state_directory: Must not be there, or be empty.
        passphrase: Opens the identity in it; None leaves the identity out.

    Raises:
        BackupError: ``state_not_empty``, ``not_a_backup``, ``backup_newer``, ``backup_damaged``, ``no_identity`` or
            ``unreadable_file``.
        IdentityError: ``invalid_archive``: the passphrase is another one.
        StoreError: The disk failed, or is too small.
    """
    if state_directory.exists() and (not state_directory.is_dir() or any(state_directory.iterdir())):
        raise BackupError(
            "state_not_empty",
            f"{state_directory} is there and not empty; name a new directory with --state-directory",
        )
    with disk_errors(state_directory.parent):
        state_directory.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, and readable for nobody else: mkdtemp makes 0700.
        work = Path(tempfile.mkdtemp(prefix=f".{state_directory.name}-", dir=state_directory.parent))
    try:
        with _opened(path) as file, _tar_errors(path):
            manifest = _unpack(file, path, work, passphrase)
        _check(work / DATABASE, manifest, path)
        with disk_errors(state_directory.parent):
            # Over an empty folder; one that was filled meanwhile is refused by the system.
            work.replace(state_directory)
            flush_folder(state_directory.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return manifest


def _unpack(file: IO[bytes], path: Path, work: Path, passphrase: str | None) -> Manifest:
    members = _members(file, path)
    manifest = parse_manifest(_first(members))
    needed_bytes = manifest.database_bytes + manifest.blob_bytes
    require_free_bytes(work.parent, needed_bytes, shutil.disk_usage(work).free)
    if passphrase is not None and not manifest.with_identity:
        raise BackupError("no_identity", f"{path} was written without --with-identity: there is nothing to decrypt")
    blobs = BlobStore(work / "blobs")
    names = [DATABASE, *([IDENTITY] if manifest.with_identity else [])]
    blob_count = blob_bytes = 0
    for member, content in members:
        if names:
            if member.name != names.pop(0):
                raise _damaged(path, f"{member.name[:80]!r} stands where it should not")
            if member.name == DATABASE:
                _copy_database(content, work / DATABASE, manifest, path)
            elif passphrase is not None:
                _write_identity(_bounded(content, member, _MAX_IDENTITY_BYTES, path), work / "identity", passphrase)
            continue
        _copy_blob(content, member, blobs, path)
        blob_count, blob_bytes = blob_count + 1, blob_bytes + member.size
    if names or (blob_count, blob_bytes) != (manifest.blob_count, manifest.blob_bytes):
        raise _damaged(path, f"it holds {blob_count} of {manifest.blob_count} blobs")
    return manifest


def _members(file: IO[bytes], path: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield plain files one after the other; whatever else a tar may hold is refused."""
    # "r:" takes no compression: nothing in it is larger than the file.
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (member := archive.next()) is not None:
            content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if content is None:
                raise _damaged(path, f"{member.name[:80]!r} is no plain file")
            yield member, content
            # Members that were read are of no more use, and there may be a million.
            archive.members.clear()  # type: ignore[attr-defined]  # public, and not in its stub


@contextmanager
def _tar_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise _damaged(path, str(error)[:200] or "it is no tar archive") from error


def _first(members: Iterator[tuple[tarfile.TarInfo, IO[bytes]]]) -> bytes:
    found = next(members, None)
    if found is None or found[0].name != MANIFEST or found[0].size > MAX_MANIFEST_BYTES:
        raise BackupError("not_a_backup", "the file does not begin as `steelyard backup` writes one; name another file")
    return found[1].read()


def _copy_database(content: IO[bytes], target: Path, manifest: Manifest, path: Path) -> None:
    sha256 = hashlib.sha256()
    with disk_errors(target.parent), target.open("xb") as file:
        target.chmod(0o600)
        while chunk := content.read(CHUNK_BYTES):
            sha256.update(chunk)
            file.write(chunk)
        file.flush()
        flush_file(file.fileno())
    if sha256.hexdigest() != manifest.database_digest:
        raise _damaged(path, "the database in it is not the one that was copied")


def _copy_blob(content: IO[bytes], member: tarfile.TarInfo, blobs: BlobStore, path: Path) -> None:
    digest = member.name.removeprefix(BLOBS)
    if not member.name.startswith(BLOBS) or not is_digest(digest) or blobs.has(digest):
        raise _damaged(path, f"{member.name[:80]!r} is no blob, or is there twice")
    upload = blobs.begin(digest, member.size, owner="restore")
    try:
        while chunk := content.read(CHUNK_BYTES):
            upload.write(chunk)
        upload.finish()
    except UsageError as error:
        raise _damaged(path, f"blob {digest} in it has other bytes") from error
    finally:
        upload.pause()


def _bounded(content: IO[bytes], member: tarfile.TarInfo, most_bytes: int, path: Path) -> bytes:
    if member.size > most_bytes:
        raise _damaged(path, f"{member.name[:80]!r} has {member.size} bytes")
    return content.read()


def _write_identity(sealed: bytes, folder: Path, passphrase: str) -> None:
    from steelyard.identity.folder_archive import unseal_files

    files = unseal_files(sealed, passphrase)
    with disk_errors(folder):
        folder.mkdir(mode=0o700)
        for name, content in files.items():
            if _KEY_FILE.fullmatch(name) is None:
                raise BackupError("backup_damaged", f"{name[:80]!r} is no file of keys; name another backup")
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                flush_file(file.fileno())


def _check(database: Path, manifest: Manifest, path: Path) -> None:
    check_database(database)
    store = Store(database)
    try:
        controller_id = store.controller_id("unknown")
    finally:
        store.close()
    if controller_id != manifest.controller_id:
        raise _damaged(path, f"its database is of controller {controller_id[:40]}")


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise BackupError(
            "unreadable_file", f"{path} cannot be read ({error.strerror}); name a file that is there"
        ) from error


def _damaged(path: Path, what: str) -> BackupError:
    return BackupError("backup_damaged", f"{path} is no whole backup ({what}); take another copy of it")

"""Reading a bundle that nobody vouches for. Nothing is unpacked: members are read into memory, within bounds.

A zip file, because every system and Python's own library opens one; zstandard is in the library from 3.14 on only.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.bundle.errors import BundleError
from steelyard.bundle.manifest import MANIFEST_NAME, Manifest, Member, blob_name, bundle_digest, parse_manifest
from steelyard.errors import UsageError

# Called with the bytes that are done and those in all.
OnProgress = Callable[[int, int], None]

_NAME = re.compile(r"manifest\.json|jobs/[0-9A-Za-z_-]{1,64}/(?:record|measurement)\.json|blobs/[0-9a-f]{64}")
_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 0x1
_MIB = 1024 * 1024
# A measurement of a thousand rounds has a record of 1 MiB.
_MOST_JSON_BYTES = 128 * _MIB
# The largest quota of outputs is 256 MiB.
_MOST_BLOB_BYTES = 1024 * _MIB
_MOST_MEMBERS = 200_000
# Samples shrink to a half or a third; whole outputs of one constant class to a thousandth, but they are small.
_MOST_RATIO = 200
_RATIO_FREE_BYTES = 256 * _MIB
_CHUNK_BYTES = _MIB
_ZIP_TROUBLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    LookupError,
)


class BundleArchive:
    """An open bundle: its manifest, and members that are checked against it as they are read."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._infos = _checked_infos(archive, path)
        if MANIFEST_NAME not in self._infos:
            raise BundleError("no_manifest", f"{path} has no {MANIFEST_NAME}: it is no bundle of Steelyard")
        content = self._bytes(MANIFEST_NAME, _MOST_JSON_BYTES)
        self.manifest: Manifest = parse_manifest(content)
        self.digest = bundle_digest(content)
        self._members = {one.name: one for one in self.manifest.members}
        self._check_listing()

    def read(self, name: str) -> bytes:
        """Return the bytes of a member other than a model, verified.

        Raises:
            BundleError: it is not there, or not what the manifest says.
        """
        member = self._members.get(name)
        if member is None:
            raise BundleError("no_member", f"the bundle lacks {name}, which its records name")
        most = _MOST_BLOB_BYTES if name.startswith("blobs/") else _MOST_JSON_BYTES
        content = self._bytes(name, most)
        self._check_digest(member, hashlib.sha256(content).hexdigest())
        return content

    def read_blob(self, digest: str) -> bytes:
        """Return the bytes of a blob; see ``read``."""
        return self.read(blob_name(digest))

    def check_members(self, on_progress: OnProgress | None = None) -> None:
        """Read every member once and compare it with its SHA-256.

        Raises:
            BundleError: ``changed_member``, with the first one that differs.
        """
        total = sum(one.size_bytes for one in self.manifest.members)
        done = 0
        for member in self.manifest.members:
            digest = hashlib.sha256()
            with _sentences(self._path), self._archive.open(self._infos[member.name]) as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    done += len(chunk)
                    if on_progress is not None:
                        on_progress(done, total)
            self._check_digest(member, digest.hexdigest())

    def _check_digest(self, member: Member, found: str) -> None:
        if found != member.sha256:
            raise BundleError(
                "changed_member",
                f"{member.name} was changed: its SHA-256 is {found[:12]}… and the manifest says {member.sha256[:12]}…",
            )

    def _check_listing(self) -> None:
        found = set(self._infos) - {MANIFEST_NAME}
        odd = sorted(found ^ set(self._members))
        if odd:
            where = "is there and the manifest does not list it" if odd[0] in found else "is listed and not there"
            raise BundleError("other_members", f"{odd[0]} {where}, as are {len(odd) - 1} more: the bundle was changed")
        for name, member in self._members.items():
            size = self._infos[name].file_size
            if size != member.size_bytes:
                raise BundleError(
                    "changed_member",
                    f"{name} was changed: it has {size} bytes and the manifest says {member.size_bytes}",
                )

    def _bytes(self, name: str, most: int) -> bytes:
        info = self._infos[name]
        if info.file_size > most:
            raise BundleError("huge_member", f"{name} has {info.file_size} bytes; at most {most} are read")
        with _sentences(self._path), self._archive.open(info) as file:
            return file.read()


@contextmanager
def open_bundle(path: Path | str) -> Iterator[BundleArchive]:
    """Open a bundle for reading.

    Raises:
        UsageError: there is no such file, or it is nothing like a bundle.
        BundleError: it is damaged, or holds what no bundle does.
        IncompleteError: a newer version wrote it in another layout.
    """
    path = Path(path)
    _check_file(path)
    with _sentences(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield BundleArchive(path, archive)


def _check_file(path: Path) -> None:
    try:
        if not path.is_file():
            raise UsageError(
                "no_such_file", f"there is no bundle {str(path)!r}: `steelyard bundle JOB -o FILE` writes one"
            )
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise UsageError("unreadable_file", f"{path} cannot be read ({error.strerror or error})") from error
    if head != _MAGIC:
        raise UsageError("no_bundle", f"{path} is no bundle: it is not a zip file")


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Turn what the zip library says of a broken archive into our error."""
    try:
        yield
    except _ZIP_TROUBLE as error:
        raise BundleError(
            "damaged_bundle",
            f"{path} is damaged or cut short ({str(error)[:200] or type(error).__name__}): get it again",
        ) from error


def _checked_infos(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name, refusing what no bundle holds before a byte of it is unpacked."""
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise BundleError("hostile_bundle", f"{path} has {len(infos)} members; at most {_MOST_MEMBERS} are read")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        what = _odd(info)
        if what or info.filename in found:
            raise BundleError(
                "hostile_bundle", f"the member {info.filename[:80]!r} {what or 'is there twice'}: no bundle has one"
            )
        found[info.filename] = info
    total, most = sum(info.file_size for info in infos), _RATIO_FREE_BYTES + _MOST_RATIO * path.stat().st_size
    if total > most:
        raise BundleError(
            "hostile_bundle", f"{path} would unpack to {total} bytes, more than {_MOST_RATIO} times its size: not read"
        )
    return found


def _odd(info: zipfile.ZipInfo) -> str:
    """Return what is wrong with a member, "" when nothing is."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link, a folder or a device"
    if not _NAME.fullmatch(info.filename) or info.orig_filename != info.filename:
        return "has a name that leads elsewhere or means nothing here"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}"
    return ""

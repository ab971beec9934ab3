"""The identity folder of a state directory: keys with the narrowest permissions, each in one file with its certificate.

``authority.pem`` signs the controller; ``following.pem`` is there while the authority changes, and then signs devices
and people; ``enrollment.pem`` is the enrollment port's. A key never overwrites another one but at the end of a change.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from steelyard.identity.authority import SignedKey, make_authority, make_enrollment_certificate
from steelyard.identity.errors import IdentityError
from steelyard.store.durable import flush_file, flush_folder

_AUTHORITY, _FOLLOWING, _ENROLLMENT = "authority.pem", "following.pem", "enrollment.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The keys of a controller."""

    # Signed the controller's own certificate.
    authority: SignedKey
    # The one that takes its place, while the authority changes.
    following: SignedKey | None = None
    enrollment: SignedKey

    @property
    def signer(self) -> SignedKey:
        """The authority that signs devices and people now."""
        return self.following or self.authority

    @property
    def trusted(self) -> tuple[SignedKey, ...]:
        """Every authority whose certificates count, the signing one first."""
        return (self.authority,) if self.following is None else (self.following, self.authority)

    @property
    def authorities_pem(self) -> bytes:
        """The certificates of the trusted authorities."""
        return b"".join(one.certificate_pem for one in self.trusted)


class IdentityFolder:
    """Reads and writes the keys. One process at a time: the holder of the state directory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def open(self, controller_id: str, now: datetime) -> Identity:
        """Read the keys; those that are missing are made.

        Raises:
            IdentityError: ``key_exposed``, ``key_unreadable``, ``key_type`` or ``key_mismatch``.
        """
        with _readable(self.path):
            self._make_private_folder()
            self._add(_AUTHORITY, lambda: make_authority(controller_id, now))
            self._add(_ENROLLMENT, lambda: make_enrollment_certificate(now))
            following = self.path / _FOLLOWING
            return Identity(
                authority=_read(self.path / _AUTHORITY),
                following=_read(following) if following.exists() else None,
                enrollment=_read(self.path / _ENROLLMENT),
            )

    def begin_change(self, controller_id: str, now: datetime) -> Identity:
        """Make the authority that is to follow; both are trusted from then on.

        Raises:
            IdentityError: ``change_under_way``, and as ``open``.
        """
        if (self.path / _FOLLOWING).exists():
            raise IdentityError(
                "change_under_way",
                "the authority changes already: see `steelyard ca show`, and `steelyard ca rotate --finish` to end it",
            )
        with _readable(self.path):
            self._add(_FOLLOWING, lambda: make_authority(controller_id, now))
        return self.open(controller_id, now)

    def finish_change(self, controller_id: str, now: datetime) -> Identity:
        """Let the following authority take the place of the old one, whose key is removed.

        Raises:
            IdentityError: ``no_change``, and as ``open``.
        """
        if not (self.path / _FOLLOWING).exists():
            raise IdentityError("no_change", "the authority does not change now: `steelyard ca rotate` begins it")
        with _readable(self.path):
            (self.path / _FOLLOWING).replace(self.path / _AUTHORITY)
            flush_folder(self.path)
        return self.open(controller_id, now)

    def require_none(self) -> None:
        """Let pass a folder that holds no authority.

        Raises:
            IdentityError: ``authority_exists``.
        """
        if (self.path / _AUTHORITY).exists():
            raise IdentityError(
                "authority_exists",
                f"{self.path} holds an authority already, whose devices would be locked out; import into another state "
                "directory, or move that folder away first",
            )

    def put_authority(self, authority: SignedKey) -> None:
        """Put an authority into a folder that has none.

        Raises:
            IdentityError: ``authority_exists``, and as ``open``.
        """
        with _readable(self.path):
            self._make_private_folder()
            self.require_none()
            self._add(_AUTHORITY, lambda: authority)

    def _make_private_folder(self) -> None:
        self.path.mkdir(mode=0o700, exist_ok=True)
        _refuse_exposed(self.path)

    def _add(self, name: str, make: Callable[[], SignedKey]) -> None:
        target = self.path / name
        if target.exists():
            return
        made = make()
        partial = self.path / f".{name}.partial"
        with suppress(FileNotFoundError):
            partial.unlink()
        # O_EXCL: nobody has the file open from before its mode was set.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(made.key_pem + made.certificate_pem)
                file.flush()
                flush_file(file.fileno())
            # A hard link, not a rename: it fails where a key lies already.
            os.link(partial, target)
        finally:
            partial.unlink()
        flush_folder(self.path)


def _read(file: Path) -> SignedKey:
    _refuse_exposed(file)
    data = file.read_bytes()
    try:
        key = serialization.load_pem_private_key(data, None)
        certificate = x509.load_pem_x509_certificate(data)
    except (ValueError, TypeError) as error:
        raise IdentityError(
            "key_unreadable", f"{file} holds no key with its certificate; restore it (`steelyard ca import`)"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityError("key_type", f"the key in {file} is not on P-256, the only kind taken here")
    return SignedKey(key=key, certificate=certificate)


def _refuse_exposed(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise IdentityError(
            "key_exposed",
            f"{path} has mode {mode:04o}, so others on this machine may have read the controller's keys: run `chmod -R "
            f"go= {path}`, and change the authority if they may have (`steelyard ca rotate`)",
        )


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IdentityError(
            "key_unreadable",
            f"the controller's keys in {folder} cannot be read or written ({error.strerror}); check the folder's owner "
            "and its disk",
        ) from error

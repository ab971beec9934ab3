"""Logins: certificates by which this person's programs reach controllers over a network, one folder a controller."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from steelyard.errors import UsageError
from steelyard_protocol.v1 import enrollment_pb2

_KEY, _CERTIFICATE, _AUTHORITIES, _ABOUT = "key.pem", "certificate.pem", "authorities.pem", "login.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a controller gave to a person's program."""

    controller_id: str
    controller_name: str
    user: str
    # "HOST:PORT" of the port with certificates.
    addresses: tuple[str, ...]
    # Seconds since the epoch.
    not_after_s: int
    renew_after_s: int
    key_pem: bytes = field(repr=False)
    certificate_pem: bytes = field(repr=False)
    authorities_pem: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a login that ends before it is renewed."""
        if not 0 < self.renew_after_s <= self.not_after_s or not self.controller_id:
            raise UsageError(
                "invalid_login", f"a login from {self.renew_after_s} to {self.not_after_s} is none; log in again"
            )


def login_from(credentials: enrollment_pb2.Credentials, *, user: str, key_pem: bytes) -> Login:
    """Return the login that a controller's answer makes; it is renewed at two thirds of its life."""
    life_s = credentials.not_after.seconds - credentials.now.seconds
    return Login(
        controller_id=credentials.controller_id,
        controller_name=credentials.controller_name,
        user=user,
        addresses=tuple(credentials.addresses),
        not_after_s=credentials.not_after.seconds,
        renew_after_s=credentials.now.seconds + life_s * 2 // 3,
        key_pem=key_pem,
        certificate_pem=credentials.certificate_pem.encode(),
        authorities_pem=credentials.authorities_pem.encode(),
    )


class Logins:
    """A folder of logins, 0700, its keys 0600."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use a folder, by default ``logins`` in the user's configuration folder."""
        self.folder = folder if folder is not None else Path(platformdirs.user_config_dir("steelyard")) / "logins"

    def save(self, login: Login) -> Path:
        """Keep a login in the place of an older one with the same controller; returns its folder."""
        target = self.folder / login.controller_id
        partial = self.folder / f".{login.controller_id}.{os.getpid()}.partial"
        about = {
            "controller_id": login.controller_id,
            "controller_name": login.controller_name,
            "user": login.user,
            "addresses": list(login.addresses),
            "not_after_s": login.not_after_s,
            "renew_after_s": login.renew_after_s,
        }
        files = {
            _KEY: login.key_pem,
            _CERTIFICATE: login.certificate_pem,
            _AUTHORITIES: login.authorities_pem,
            _ABOUT: json.dumps(about, indent=2).encode() + b"\n",
        }
        with _sentences(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            for name, content in files.items():
                _write_private(partial / name, content)
            old = self.folder / f".{login.controller_id}.{os.getpid()}.old"
            if target.exists():
                target.rename(old)
            partial.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        return target

    def all(self) -> list[Login]:
        """Return every login, by the controller's id.

        Raises:
            UsageError: ``invalid_login``.
        """
        if not self.folder.is_dir():
            return []
        return [_load(one) for one in sorted(self.folder.iterdir()) if not one.name.startswith(".")]

    def for_address(self, address: str, now_s: float | None = None) -> Login:
        """Return the login for a controller's address: the one that names it, else the only one.

        Raises:
            UsageError: ``not_logged_in``, ``several_logins``, ``login_expired`` or ``invalid_login``.
        """
        logins = self.all()
        fitting = [one for one in logins if address in one.addresses] or logins
        if not fitting:
            raise UsageError(
                "not_logged_in",
                f"there is no login for {address}: ask whoever administers that controller for a code (`steelyard user "
                "invite NAME --role run` there), and use it here with `steelyard login CODE`",
            )
        if len(fitting) > 1:
            known = ", ".join(f"{one.controller_id[:8]} at {' '.join(one.addresses)}" for one in fitting)
            raise UsageError(
                "several_logins", f"none of the logins names {address}: name one of their addresses ({known})"
            )
        if fitting[0].not_after_s <= (time.time() if now_s is None else now_s):
            raise UsageError(
                "login_expired",
                f"the login of {fitting[0].user} for {address} has expired; ask for a new code and use it with "
                "`steelyard login CODE`",
            )
        return fitting[0]


def _load(folder: Path) -> Login:
    try:
        about: dict[str, Any] = json.loads((folder / _ABOUT).read_bytes())
        return Login(
            controller_id=str(about["controller_id"]),
            controller_name=str(about["controller_name"]),
            user=str(about["user"]),
            addresses=tuple(str(one) for one in about["addresses"]),
            not_after_s=int(about["not_after_s"]),
            renew_after_s=int(about["renew_after_s"]),
            key_pem=(folder / _KEY).read_bytes(),
            certificate_pem=(folder / _CERTIFICATE).read_bytes(),
            authorities_pem=(folder / _AUTHORITIES).read_bytes(),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(
            "invalid_login", f"the login in {folder} cannot be read; remove that folder and log in with a new code"
        ) from error


def _write_private(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


@contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            "login_unwritable", f"the login cannot be kept in {folder} ({error.strerror}); make that folder writable"
        ) from error

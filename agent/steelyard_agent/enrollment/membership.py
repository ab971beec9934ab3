"""What this device keeps of a controller that it joined: ``controllers/ID/`` in the state directory.

``key.pem`` (0600, made once), ``certificate.pem``, ``authorities.pem``, ``enrollment.pem`` (the certificate that the
enrollment port showed when the code vouched for it) and ``controller.json``, which is written last: a folder without it
is an enrollment that was cut short.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from steelyard_agent.state.durable import sync_folder, write_durably
from steelyard_agent.state.errors import StateError

_FOLDER = "controllers"
_RECORD = "controller.json"
_SCHEMA_VERSION = 1
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9.-]{1,253}")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_MAX_ADDRESSES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A controller as this device knows it; times are of the controller's clock, seconds since the epoch.

    ``clock_offset_s`` is the controller's clock less this device's, as it was last heard.
    """

    controller_id: str
    controller_name: str
    device_name: str
    addresses: tuple[str, ...]
    enrollment_addresses: tuple[str, ...]
    issued_at_s: float
    not_after_s: float
    clock_offset_s: float
    # Which address led to the last session, "" before the first.
    last_good_address: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot name a folder, or be dialled."""
        if _ID.fullmatch(self.controller_id) is None:
            raise ValueError(f"{self.controller_id[:120]!r} cannot be the id of a controller")
        if _NAME.fullmatch(self.controller_name) is None:
            raise ValueError(f"{self.controller_name[:120]!r} cannot be the name in a certificate")
        known = (*self.addresses, *self.enrollment_addresses)
        if not self.addresses or len(known) > _MAX_ADDRESSES:
            raise ValueError(f"{len(known)} addresses; 1 to {_MAX_ADDRESSES} make sense")
        for address in known:
            if _ADDRESS.fullmatch(address) is None:
                raise ValueError(f"{address[:80]!r} is not HOST:PORT")
        if not self.issued_at_s < self.not_after_s:
            raise ValueError(f"a certificate of {self.issued_at_s} that ends at {self.not_after_s} was never valid")

    @property
    def renew_at_s(self) -> float:
        """When the certificate is to be renewed: after two thirds of its life, by the controller's clock."""
        return self.issued_at_s + (self.not_after_s - self.issued_at_s) * 2 / 3

    def dialling_order(self) -> tuple[str, ...]:
        """Return the addresses in the order in which they are tried: the last good one first."""
        others = tuple(address for address in self.addresses if address != self.last_good_address)
        return (self.last_good_address, *others) if self.last_good_address else others


class MembershipFolder:
    """The files of one controller. Used from one thread."""

    def __init__(self, path: Path) -> None:
        """Use ``path``, which ``prepare`` makes."""
        self.path = path

    @property
    def key(self) -> Path:
        """The device's key for this controller; it never leaves the device."""
        return self.path / "key.pem"

    def is_joined(self) -> bool:
        """Return whether the controller was joined."""
        return (self.path / _RECORD).is_file()

    def prepare(self) -> None:
        """Make the folder, for its owner alone.

        Raises:
            StateError: It cannot be made.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def keep(self, membership: Membership, *, certificate: str, authorities: str, enrollment: str = "") -> None:
        """Write what a controller gave, the record last; ``enrollment`` "" keeps the one that is there.

        Raises:
            StateError: It cannot be written.
        """
        files = {"authorities.pem": authorities, "certificate.pem": certificate, "enrollment.pem": enrollment}
        try:
            for name, content in files.items():
                if content:
                    write_durably(self.path / name, content.encode("ascii"))
            self._write(membership)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def note(self, membership: Membership) -> None:
        """Write the record alone.

        Raises:
            StateError: It cannot be written.
        """
        try:
            self._write(membership)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def read(self) -> Membership:
        """Return the record.

        Raises:
            StateError: ``controller_damaged``.
        """
        path = self.path / _RECORD
        try:
            record = json.loads(path.read_bytes())
            if record.pop("schema_version") != _SCHEMA_VERSION:
                raise ValueError("it is of another version of this agent")  # noqa: TRY301 (as any other damage)
            for name in ("addresses", "enrollment_addresses"):
                record[name] = tuple(record[name])
            return Membership(**record)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StateError(
                "controller_damaged",
                f"{path} cannot be used ({error}); run `steelyard-agent controllers forget {self.path.name}` and "
                "enroll with a new join code",
            ) from error

    def pem(self, name: str) -> bytes:
        """Return ``key``, ``certificate``, ``authorities`` or ``enrollment``.

        Raises:
            StateError: ``controller_damaged``.
        """
        path = self.path / f"{name}.pem"
        try:
            return path.read_bytes()
        except OSError as error:
            raise StateError(
                "controller_damaged", f"{path} cannot be read ({error.strerror}); enroll with a new join code"
            ) from error

    def _write(self, membership: Membership) -> None:
        record = {"schema_version": _SCHEMA_VERSION, **asdict(membership)}
        write_durably(self.path / _RECORD, json.dumps(record, indent=1).encode("utf-8"))


def membership_folder(state_root: Path, controller_id: str) -> MembershipFolder:
    """Return the folder of a controller.

    Raises:
        StateError: ``unknown_controller``: the id cannot be one.
    """
    if _ID.fullmatch(controller_id) is None:
        raise StateError(
            "unknown_controller", f"{controller_id[:120]!r} cannot be the id of a controller; see the list"
        )
    return MembershipFolder(state_root / _FOLDER / controller_id)


def membership_folders(state_root: Path) -> tuple[MembershipFolder, ...]:
    """Return the folders of every controller that was joined, by id."""
    folder = state_root / _FOLDER
    if not folder.is_dir():
        return ()
    found = sorted(path for path in folder.iterdir() if MembershipFolder(path).is_joined() and _ID.fullmatch(path.name))
    return tuple(MembershipFolder(path) for path in found)


def forget(folder: MembershipFolder) -> None:
    """Remove a controller's folder, its key included; the record goes first, so that a half-removed one is none.

    Raises:
        StateError: It cannot be removed.
    """
    import shutil

    try:
        (folder.path / _RECORD).unlink()
        shutil.rmtree(folder.path)
        sync_folder(folder.path.parent)
    except OSError as error:
        raise _unusable(folder.path, error) from error


def with_clock(membership: Membership, *, controller_now_s: float, device_now_s: float) -> Membership:
    """Return the membership with the difference between both clocks as it is now."""
    return replace(membership, clock_offset_s=controller_now_s - device_now_s)


def _unusable(path: Path, error: OSError) -> StateError:
    return StateError(
        "state_directory_unusable",
        f"{path} cannot be used ({error.strerror}); free some space or choose another --state-directory",
    )

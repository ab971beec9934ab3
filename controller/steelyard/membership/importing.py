"""An exported authority in a state directory that has none: a controller that moved, or lost its disk."""

from __future__ import annotations

import time
from pathlib import Path

from steelyard.identity.archive import unseal
from steelyard.identity.authority import controller_of
from steelyard.identity.errors import IdentityError
from steelyard.identity.folder import IdentityFolder
from steelyard.store.lock import StateLock
from steelyard.store.store import Store


def import_authority(state_directory: Path, archive: bytes, passphrase: str) -> str:
    """Put an exported authority into a state directory; no controller may run there. Returns the controller's id.

    Devices and people whose certificates it signed are known by them from then on, and certificates that were revoked
    before are taken again until they expire, as far as this directory's store does not know better.

    Raises:
        IdentityError: ``invalid_archive``, ``authority_exists`` or ``other_controller``.
        StateLockedError: A controller runs there.
    """
    authority = unseal(archive, passphrase)
    controller_id = controller_of(authority.certificate)
    lock = StateLock(state_directory, temporary=True)
    lock.acquire()
    try:
        folder = IdentityFolder(state_directory / "identity")
        # Before the store is given an id for good.
        folder.require_none()
        store = Store(state_directory / "steelyard.sqlite3", clock_ns=time.time_ns)
        try:
            found = store.controller_id(controller_id)
        finally:
            store.close()
        if found != controller_id:
            raise IdentityError(
                "other_controller",
                f"{state_directory} belongs to controller {found[:8]}, the file to {controller_id[:8]}: import into "
                "a new directory (--state-directory DIR)",
            )
        folder.put_authority(authority)
    finally:
        lock.release()
    return controller_id

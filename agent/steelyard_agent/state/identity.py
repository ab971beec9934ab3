"""Who this device is: an id that is made once, and the fencing epoch of its lease, which only rises."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.state.durable import write_durably
from steelyard_agent.state.errors import StateError

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The content of ``device.json``."""

    device_id: str
    epoch: int

    def __post_init__(self) -> None:
        """Refuse an id that is no UUID and an epoch that is no count."""
        if _UUID.fullmatch(self.device_id) is None:
            raise ValueError(f"device_id {self.device_id!r} is not a lower-case UUID")
        if isinstance(self.epoch, bool) or not isinstance(self.epoch, int) or self.epoch < 0:
            raise ValueError(f"epoch {self.epoch!r} is not a count")


class IdentityFile:
    """The identity on disk; every new epoch is there before anybody hears of it."""

    def __init__(self, path: Path) -> None:
        """Read ``path``, or make a new identity where there is none.

        Raises:
            StateError: The file is damaged. It is never replaced silently: the epoch must not fall back.
        """
        self._path = path
        self._identity = _read(path) if path.exists() else self._write(Identity(device_id=_new_id(), epoch=0))

    @property
    def device_id(self) -> str:
        """The id that names this device to every controller."""
        return self._identity.device_id

    @property
    def epoch(self) -> int:
        """The last epoch that was given out."""
        return self._identity.epoch

    def next_epoch(self) -> int:
        """Raise the epoch by one, durably, and return it.

        Raises:
            StateError: It could not be written; the old epoch stands.
        """
        self._identity = self._write(Identity(device_id=self.device_id, epoch=self.epoch + 1))
        return self.epoch

    def _write(self, identity: Identity) -> Identity:
        record = {"device_id": identity.device_id, "epoch": identity.epoch}
        try:
            write_durably(self._path, json.dumps(record).encode("utf-8"))
        except OSError as error:
            raise StateError(
                "identity_not_written",
                f"{self._path} cannot be written ({error.strerror}); free some space or choose another "
                "--state-directory",
            ) from error
        return identity


def _new_id() -> str:
    # Once in a device's life: an agent that idles need not hold the module.
    import uuid

    return str(uuid.uuid4())


def _read(path: Path) -> Identity:
    try:
        record = json.loads(path.read_bytes())
        return Identity(**record)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StateError(
            "identity_damaged",
            f"{path} is not a device identity ({error}); restore it, or delete it to give this device a new one",
        ) from error

"""Which controllers ``run`` serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.enrollment.membership import MembershipFolder, membership_folders
from steelyard_agent.errors import UsageError
from steelyard_agent.link.address import ControllerAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedControllers:
    """The one at an address on loopback, or all that this device joined."""

    address: ControllerAddress | None = None
    memberships: tuple[MembershipFolder, ...] = ()

    def __str__(self) -> str:
        if self.address is not None:
            return str(self.address)
        return ", ".join(f"controller {folder.path.name}" for folder in self.memberships)


def served_controllers(address: ControllerAddress | None, state_root: Path) -> ServedControllers:
    """Return what to serve.

    Raises:
        UsageError: ``no_controller``: none was named, and none was joined.
    """
    if address is not None:
        return ServedControllers(address=address)
    memberships = membership_folders(state_root)
    if not memberships:
        raise UsageError(
            "no_controller",
            f"this device joined no controller ({state_root} holds none): run `steelyard-agent enroll CODE` with a "
            "code of `steelyard device invite`, or name one on loopback with --controller HOST:PORT",
        )
    return ServedControllers(memberships=memberships)

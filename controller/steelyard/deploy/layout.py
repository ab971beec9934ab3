"""Where an agent lies on a device: one folder of its own, its state, its unit, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

UNIT = "steelyard-agent.service"


class ServiceKind(Enum):
    """What starts the agent: systemd, a user's systemd, or nothing after the next boot."""

    SYSTEM = "systemd"
    USER = "systemd --user"
    PROCESS = "nohup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Absolute paths of the device; ``rules`` and ``unit`` are "" where there are none."""

    kind: ServiceKind
    prefix: str
    state: str
    unit: str
    rules: str

    def __post_init__(self) -> None:
        """Refuse a path that `rm -rf` must never see, and a unit where nothing reads one."""
        for path in (self.prefix, self.state):
            if not path.startswith("/") or path.count("/") < 2 or ".." in path.split("/"):
                raise ValueError(f"{path!r} is no folder that an agent may have for itself")
        if bool(self.unit) != (self.kind is not ServiceKind.PROCESS):
            raise ValueError(f"{self.kind.value} does not fit the unit {self.unit!r}")

    @property
    def current(self) -> str:
        """The link to the version that runs."""
        return f"{self.prefix}/current"

    @property
    def python(self) -> str:
        """The interpreter of the version that runs."""
        return f"{self.current}/bin/python"


def system_layout(root: str = "") -> Layout:
    """Return the folders of a service of the system, below ``root`` ("" for the device's own root)."""
    root = root.rstrip("/")
    return Layout(
        kind=ServiceKind.SYSTEM,
        prefix=f"{root}/opt/steelyard",
        state=f"{root}/var/lib/steelyard-agent",
        unit=f"{root}/etc/systemd/system/{UNIT}",
        rules=f"{root}/etc/udev/rules.d/70-steelyard.rules",
    )


def user_layout(home: str, *, has_systemd: bool) -> Layout:
    """Return the folders of an agent that a user without sudo runs."""
    return Layout(
        kind=ServiceKind.USER if has_systemd else ServiceKind.PROCESS,
        prefix=f"{home}/.local/share/steelyard-agent",
        state=f"{home}/.local/state/steelyard-agent",
        unit=f"{home}/.config/systemd/user/{UNIT}" if has_systemd else "",
        rules="",
    )

"""The unit that runs the agent, and the one that holds a tunnel open."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.deploy.layout import Layout, ServiceKind

WATCHDOG_S = 120

# What a service of the system may not do. What is missing here is missing on purpose:
# - PrivateDevices, and ProtectClock (it implies DeviceAllow=char-rtc, which closes all other devices): /dev/vcio of a
#   Raspberry Pi, /dev/nvidia*, /dev/dri and USB for adb must open;
# - MemoryDenyWriteExecute: XNNPACK, OpenVINO and LiteRT make code at run time;
# - ProtectProc and ProcSubset: conditions are read from /proc/stat, /proc/pressure and the like;
# - PrivateUsers: groups such as video and i2c must count.
HARDENING = (
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("ProtectSystem", "strict"),
    # Runtime environments of a user may lie there.
    ("ProtectHome", "read-only"),
    ("PrivateTmp", "yes"),
    # Read-only, so that every meter of /sys and /proc still reads.
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("RestrictRealtime", "yes"),
    ("LockPersonality", "yes"),
    # AF_NETLINK: psutil asks for network interfaces by it.
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX AF_NETLINK"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallErrorNumber", "EPERM"),
    ("RemoveIPC", "yes"),
    ("UMask", "0077"),
)


def agent_command(layout: Layout, *, name: str, controller: str) -> tuple[str, ...]:
    """Return what runs the agent; ``controller`` "" serves the controllers that the device joined."""
    dialled = ("--controller", controller) if controller else ()
    run = (layout.python, "-m", "steelyard_agent", "run", *dialled, "--name", name)
    return (*run, "--state-directory", layout.state)


def agent_unit(
    layout: Layout, *, command: Sequence[str], user: str, groups: Sequence[str] = (), has_default_state: bool
) -> str:
    """Return the unit's text.

    Args:
        layout: Where things lie.
        command: What to run.
        user: Who runs it, in a service of the system.
        groups: Further groups that exist on the device.
        has_default_state: Whether the state lies where systemd makes it (/var/lib), else it was made by the install.
    """
    is_system = layout.kind is ServiceKind.SYSTEM
    service = [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("ExecStart", " ".join(_quoted(word) for word in command)),
        ("Restart", "on-failure"),
        ("RestartSec", "5"),
        ("WatchdogSec", str(WATCHDOG_S)),
        ("TimeoutStartSec", "120"),
        ("TimeoutStopSec", "30"),
        # The agent ends its workers itself; whoever is left after that is killed.
        ("KillMode", "mixed"),
        # A worker that the kernel kills for memory is a result, not the end of the agent.
        ("OOMPolicy", "continue"),
        ("Environment", "PYTHONUNBUFFERED=1"),
    ]
    if is_system:
        service += [("User", user), ("Group", user)]
        if groups:
            service.append(("SupplementaryGroups", " ".join(groups)))
        if has_default_state:
            service += [("StateDirectory", "steelyard-agent"), ("StateDirectoryMode", "0700")]
        else:
            service.append(("ReadWritePaths", _quoted(layout.state)))
        service += HARDENING
    unit = [
        ("Description", "Steelyard agent: measures neural networks on this device"),
        ("Wants", "network-online.target"),
        ("After", "network-online.target"),
        # A device that nobody watches never stops trying.
        ("StartLimitIntervalSec", "0"),
    ]
    if not is_system:
        # A user's systemd knows no targets of the system.
        unit = [pair for pair in unit if pair[0] not in {"Wants", "After"}]
    wanted = "multi-user.target" if is_system else "default.target"
    return _sections(("Unit", unit), ("Service", service), ("Install", [("WantedBy", wanted)]))


def tunnel_unit(*, command: Sequence[str], device: str) -> str:
    """Return a unit for the controller's machine (systemd --user) that holds a tunnel to a device open."""
    return _sections(
        ("Unit", [("Description", f"Steelyard tunnel to {device}".replace("%", "%%")), ("StartLimitIntervalSec", "0")]),
        (
            "Service",
            [
                ("ExecStart", " ".join(_quoted(word) for word in command)),
                ("Restart", "always"),
                ("RestartSec", "10"),
            ],
        ),
        ("Install", [("WantedBy", "default.target")]),
    )


def _sections(*sections: tuple[str, Sequence[tuple[str, str]]]) -> str:
    blocks = ["".join([f"[{name}]\n", *(f"{key}={value}\n" for key, value in pairs)]) for name, pairs in sections]
    return (
        "# Written by `steelyard deploy`; a second run writes it anew, `steelyard undeploy` removes it.\n"
        + "\n".join(blocks)
    )


def _quoted(word: str) -> str:
    """Return a word as systemd reads it back (systemd.service(5), COMMAND LINES): % and $ stand for something there."""
    if any(ord(character) < 32 for character in word):
        raise ValueError(f"{word!r} cannot stand in a unit")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if word and all(c.isalnum() or c in "/._-:@+,=[]" for c in word) else f'"{escaped}"'

"""What the agent's own user may not read by itself, and what a deployment does about it; the plan names all of it."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.deploy.probe import DeviceFacts

_RAPL = "/sys/class/powercap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileges:
    """``groups`` of the device that the service is a member of, ``rules`` of udev ("" for none), and why, in words."""

    groups: tuple[str, ...]
    rules: str
    notes: tuple[str, ...]


def privileges(facts: DeviceFacts, *, user: str) -> Privileges:
    """Return what a service of the system is given on this device; only what exists there is named."""
    notes = []
    if facts.groups:
        notes.append(f"member of {', '.join(facts.groups)} (GPU, I2C, vcgencmd, USB), in the service alone")
    rules = ""
    if _RAPL in facts.paths:
        rules = _rapl_rules(user)
        notes.append(
            f"udev rule: {user} may read {_RAPL}/intel-rapl:*/energy_uj (root's alone since CVE-2020-8694: who reads "
            "it finely may guess what other programs compute)"
        )
    if "/dev/vcio" in facts.paths and "video" not in facts.groups:
        notes.append("/dev/vcio is here and the group video is not: vcgencmd may be refused; `doctor` will say it")
    return Privileges(groups=facts.groups, rules=rules, notes=tuple(notes))


def _rapl_rules(user: str) -> str:
    match = 'ACTION=="add|change", SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*"'
    change = f'RUN+="/bin/chgrp {user} /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"'
    return f"# Written by `steelyard deploy`: energy counters for the agent's group.\n{match}, {change}\n"

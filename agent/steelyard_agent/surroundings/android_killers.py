"""Whether a policy of Android explains why a worker was killed: its low-memory or its phantom-process killer.

The kill itself is written to logcat, which an app may not read. So this is evidence, not proof, and there are two
kinds: memory is short right after the kill (pressure stall information, or little memory left beside a running lmkd),
or this Android kills child processes of apps and nothing says that it was switched off. A Linux that is no Android
gives no evidence: systemd-oomd and earlyoom tell only journals, and the worker's end is then unknown.
"""

from __future__ import annotations

import re
import time

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import text_or_empty
from steelyard_agent.surroundings.android_facts import api_level, phantom_killing

# Share of the last ten seconds in which some task waited for memory (Documentation/accounting/psi.rst), in percent.
_PRESSURE_PERCENT = 5.0
# lmkd kills long before memory is gone; with a tenth of it left a phone is short of it.
_LITTLE_LEFT = 0.1
_PRESSURE = re.compile(r"^some avg10=([0-9]{1,3}[.][0-9]+)", re.MULTILINE)
_SIZE = re.compile(r"^(MemTotal|MemAvailable):\s+([0-9]+) kB$", re.MULTILINE)


def find_os_killer(system: System | None = None, *, kills_phantoms: bool = True) -> str:
    """Return which killer of Android is behind a SIGKILL that was not ours, with its evidence; "" without any.

    Takes as long as a few programs of the device; call it right after the kill, off the event loop. ``kills_phantoms``
    is False for a program that no app started.
    """
    system = system or System(clock_ns=time.monotonic_ns)
    level = api_level(system)
    if level is None:
        return ""
    if shortage := _memory_shortage(system):
        return f"Android's low-memory killer ({shortage})"
    if not kills_phantoms:
        return ""
    killing = phantom_killing(system, level)
    if killing.enabled is False:
        return ""
    known = "switched on" if killing.enabled else "not known to be switched off"
    return f"Android's phantom-process killer (API level {level}, and it is {known})"


def _memory_shortage(system: System) -> str:
    pressure = _PRESSURE.search(text_or_empty(system, "/proc/pressure/memory"))
    if pressure and float(pressure.group(1)) >= _PRESSURE_PERCENT:
        return f"some avg10={pressure.group(1)} in /proc/pressure/memory"
    if system.run_command(("getprop", "init.svc.lmkd")).text != "running":
        return ""
    kib = {name: int(size) for name, size in _SIZE.findall(text_or_empty(system, "/proc/meminfo"))}
    if len(kib) == 2 and kib["MemAvailable"] < _LITTLE_LEFT * kib["MemTotal"]:
        return f"{kib['MemAvailable'] // 1024} of {kib['MemTotal'] // 1024} MiB left beside a running lmkd"
    return ""

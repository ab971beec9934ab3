"""The kinds of switches that there are."""

from __future__ import annotations

from steelyard.errors import UsageError
from steelyard.power_switches import command, shelly, tasmota
from steelyard.power_switches.contract import PowerSwitch
from steelyard.spelling import meant

KINDS = {kind.scheme: kind for kind in (command.KIND, shelly.KIND, tasmota.KIND)}


def make_switch(address: str) -> PowerSwitch:
    """Return the switch of an address such as "shelly://192.168.1.20/0"; nothing is asked yet.

    Raises:
        UsageError: ``bad_switch``.
    """
    scheme = address.partition(":")[0]
    if scheme not in KINDS:
        examples = ", ".join(repr(kind.example) for kind in KINDS.values())
        raise UsageError(
            "bad_switch", f"switch {address[:80]!r} is of no known kind, such as {examples}; {meant(scheme, KINDS)}"
        )
    return KINDS[scheme].make(address)

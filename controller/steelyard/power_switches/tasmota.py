"""Plugs and relays with the Tasmota firmware.

Source: tasmota.github.io/docs, Commands: Power<x> On and Off answer {"POWER<x>":"ON"}, without x where there is one.
"""

from __future__ import annotations

from urllib.parse import quote

from steelyard.meters.http import password
from steelyard.power_switches.contract import PowerSwitch, SwitchKind
from steelyard.power_switches.network import ask, disobedient, host_and_number

_EXAMPLE = "tasmota://192.168.1.21"


def make_switch(address: str) -> PowerSwitch:
    """Return one relay of a plug; "tasmota://HOST/2" is its second.

    Raises:
        UsageError: ``bad_switch``.
    """
    base, number = host_and_number(address, _EXAMPLE)
    relay = "" if number is None else str(number)

    def turn(on: bool) -> None:
        word = "ON" if on else "OFF"
        secret = password()
        login = f"user=admin&password={quote(secret, safe='')}&" if secret else ""
        answer = ask(base, f"/cm?{login}cmnd=Power{relay}%20{word}")
        told = answer if isinstance(answer, dict) else {}
        # A plug of one relay leaves the number out.
        if word not in {told.get(f"POWER{relay}"), told.get("POWER") if relay in {"", "1"} else None}:
            raise disobedient(base, on=on, answer=answer)

    which = f", relay {relay}" if relay else ""
    return PowerSwitch(description=f"Tasmota plug at {base}{which}", turn=turn)


KIND = SwitchKind(
    scheme="tasmota",
    summary="plugs and relays with the Tasmota firmware",
    example=_EXAMPLE,
    make=make_switch,
)

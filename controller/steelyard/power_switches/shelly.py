"""Shelly plugs and relays of generation 2 and later.

Source: shelly-api-docs.shelly.cloud, Gen2, component Switch: Switch.Set and Switch.GetStatus ("output"); the user of
the login is always "admin".
"""

from __future__ import annotations

from steelyard.power_switches.contract import PowerSwitch, SwitchKind
from steelyard.power_switches.network import ask, disobedient, host_and_number

_EXAMPLE = "shelly://192.168.1.20/0"


def make_switch(address: str) -> PowerSwitch:
    """Return one switch of a plug or relay; the first without a number.

    Raises:
        UsageError: ``bad_switch``.
    """
    base, number = host_and_number(address, _EXAMPLE)
    channel = number or 0

    def turn(on: bool) -> None:
        ask(base, f"/rpc/Switch.Set?id={channel}&on={'true' if on else 'false'}", digest_user="admin")
        status = ask(base, f"/rpc/Switch.GetStatus?id={channel}", digest_user="admin")
        if not isinstance(status, dict) or status.get("output") is not on:
            raise disobedient(base, on=on, answer=status)

    return PowerSwitch(description=f"Shelly switch {channel} at {base}", turn=turn)


KIND = SwitchKind(
    scheme="shelly",
    summary="Shelly plugs and relays, generation 2 and later",
    example=_EXAMPLE,
    make=make_switch,
)

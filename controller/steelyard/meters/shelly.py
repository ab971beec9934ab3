"""Shelly plugs and relays of generation 2 and later, by their RPC over HTTP.

Sources: shelly-api-docs.shelly.cloud, Gen2, component Switch (apower in W, aenergy.total in Wh) and Authentication
(digest with SHA-256, the user is always "admin").
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from steelyard.errors import UsageError
from steelyard.meters.contract import MeterError, MeterKind, MeterSample, MeterUrl
from steelyard.meters.http import base_address, fetch_json, number_of
from steelyard.meters.plug import PERIOD_S, Plug

_J_PER_WH = 3600.0
# apower is told in steps of 0.1 W, aenergy.total in steps of 1 mWh.
_POWER_RESOLUTION_W = 0.1
_ENERGY_RESOLUTION_J = 3.6
# The components that measure power, by the name of the option that picks one.
_COMPONENTS = {"switch": "Switch", "pm1": "PM1"}


def make_plug(url: MeterUrl) -> Plug:
    """Return one switch of a plug or relay.

    Raises:
        UsageError: ``bad_meter``.
    """
    address, query = base_address(url)
    component, channel = _component(url, query)
    return Plug(
        description=f"Shelly {component.lower()} {channel} at {address}",
        ask=lambda: fetch_json(address, f"/rpc/{component}.GetStatus?id={channel}", digest_user="admin"),
        sample_of=sample_of,
        power_resolution_w=_POWER_RESOLUTION_W,
        energy_resolution_j=_ENERGY_RESOLUTION_J,
    )


def sample_of(status: Any, time_ns: int) -> MeterSample:
    """Return the sample of a status, as the plug sends it.

    Raises:
        MeterError: it is no status with a power: a relay that does not measure, another device.
    """
    power = _number(status, "apower")
    if power is None:
        raise MeterError("meter_nonsense", f"the plug's status has no power (apower): {str(status)[:80]}")
    total = _number(status.get("aenergy"), "total")
    return MeterSample(time_ns=time_ns, power_w=power, energy_j=None if total is None else total * _J_PER_WH)


def _number(fields: Any, name: str) -> float | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    return number_of(value)


def _component(url: MeterUrl, query: str) -> tuple[str, int]:
    options = parse_qsl(query, keep_blank_values=True)
    if not options:
        return "Switch", 0
    name, number = options[0]
    if len(options) > 1 or name not in _COMPONENTS or not (number.isascii() and number.isdigit()):
        raise UsageError("bad_meter", f"meter {url.text!r}: after ? stands switch=NUMBER or pm1=NUMBER")
    return _COMPONENTS[name], int(number)


KIND = MeterKind(
    scheme="shelly",
    summary="Shelly plugs and relays, generation 2 and later",
    example="shelly:http://192.168.1.20",
    period_s=PERIOD_S,
    make=make_plug,
)

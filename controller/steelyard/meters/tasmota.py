"""Plugs with the Tasmota firmware, by `Status 8` over HTTP.

Sources: tasmota.github.io/docs, Commands (Status 8 is the sensor information; Total is in kWh with 3 decimals by
default, EnergyRes, and Power in whole W, WattRes) and Energy-Monitoring.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote

from steelyard.errors import UsageError
from steelyard.meters.contract import MeterError, MeterKind, MeterSample, MeterUrl
from steelyard.meters.http import base_address, fetch_json, number_of, password
from steelyard.meters.plug import PERIOD_S, Plug

_J_PER_KWH = 3.6e6
_POWER_RESOLUTION_W = 1.0
_ENERGY_RESOLUTION_J = 3600.0


def make_plug(url: MeterUrl) -> Plug:
    """Return one channel of a plug.

    Raises:
        UsageError: ``bad_meter``.
    """
    address, query = base_address(url)
    channel = _channel(url, query)
    where = "" if channel is None else f", channel {channel}"
    return Plug(
        description=f"Tasmota plug at {address}{where}",
        ask=lambda: _ask(address),
        sample_of=lambda status, time_ns: sample_of(status, time_ns, channel=channel),
        power_resolution_w=_POWER_RESOLUTION_W,
        energy_resolution_j=_ENERGY_RESOLUTION_J,
    )


def _ask(address: str) -> object:
    secret = password()
    login = f"user=admin&password={quote(secret, safe='')}&" if secret else ""
    return fetch_json(address, f"/cm?{login}cmnd=Status%208")


def sample_of(status: Any, time_ns: int, *, channel: int | None = None) -> MeterSample:
    """Return the sample of an answer to `Status 8`; ``channel`` picks one where the plug has several.

    Raises:
        MeterError: it is no such answer, the plug does not measure, or wants a password.
    """
    sensors = status.get("StatusSNS") if isinstance(status, dict) else None
    energy = sensors.get("ENERGY") if isinstance(sensors, dict) else None
    if not isinstance(energy, dict):
        raise MeterError("meter_nonsense", f"the plug's answer has no StatusSNS.ENERGY: {str(status)[:80]}")
    power, total = _of_channel(energy.get("Power"), energy.get("Total"), channel)
    power_w, total_kwh = number_of(power), number_of(total)
    if power_w is None:
        raise MeterError("meter_nonsense", f"the plug's status has no power (ENERGY.Power): {str(energy)[:80]}")
    return MeterSample(time_ns=time_ns, power_w=power_w, energy_j=None if total_kwh is None else total_kwh * _J_PER_KWH)


def _of_channel(power: object, total: object, channel: int | None) -> tuple[object, object]:
    """Return power and counter of a channel; a plug of several tells lists, of the counter only with SetOption129."""
    if not isinstance(power, list):
        if channel:
            raise MeterError(
                "meter_nonsense", f"the plug has one channel (Power {power}): leave ?channel={channel} off"
            )
        return power, total
    if channel is None or channel >= len(power):
        raise MeterError(
            "meter_nonsense", f"the plug has {len(power)} channels (Power {power}): end its URL with ?channel=0"
        )
    if isinstance(total, list):
        return power[channel], total[channel] if channel < len(total) else None
    # One counter counts every channel together.
    return power[channel], None


def _channel(url: MeterUrl, query: str) -> int | None:
    if not query:
        return None
    options = parse_qsl(query, keep_blank_values=True)
    if len(options) != 1 or options[0][0] != "channel" or not (options[0][1].isascii() and options[0][1].isdigit()):
        raise UsageError("bad_meter", f"meter {url.text!r}: after ? stands channel=NUMBER")
    return int(options[0][1])


KIND = MeterKind(
    scheme="tasmota",
    summary="plugs with the Tasmota firmware",
    example="tasmota:http://192.168.1.21",
    period_s=PERIOD_S,
    make=make_plug,
)

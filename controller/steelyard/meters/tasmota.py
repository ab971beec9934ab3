"""Plugs with the Tasmota firmware, by `Status 8` over HTTP.

Sources: tasmota.github.io/docs, Commands (Status 8 is the sensor information; Total is in kWh with 3 decimals by
default, EnergyRes, and Power in whole W, WattRes) and Energy-Monitoring.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote

from steelyard.errors import UsageError
from steelyard.meters.contract import MeterError, MeterFacts, MeterKind, MeterSample, MeterUrl, Scope
from steelyard.meters.http import base_address, fetch_json, number_of, password

_PERIOD_S = 1.0
_J_PER_KWH = 3.6e6
_POWER_RESOLUTION_W = 1.0
_ENERGY_RESOLUTION_J = 3600.0


class Tasmota:
    """One channel of a plug."""

    def __init__(self, url: MeterUrl, *, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._address, query = base_address(url)
        self._channel = _channel(url, query)
        self._clock_ns = clock_ns

    def open(self) -> MeterFacts:
        """Read it once."""
        has_counter = self._ask().energy_j is not None
        where = "" if self._channel is None else f", channel {self._channel}"
        return MeterFacts(
            description=f"Tasmota plug at {self._address}{where}",
            scope=Scope.WALL,
            period_s=_PERIOD_S,
            power_resolution_w=_POWER_RESOLUTION_W,
            energy_resolution_j=_ENERGY_RESOLUTION_J if has_counter else None,
        )

    def read(self) -> Sequence[MeterSample]:
        """Ask for the present power and the counter."""
        return (self._ask(),)

    def close(self) -> None:
        """Nothing is held open."""

    def _ask(self) -> MeterSample:
        secret = password()
        login = f"user=admin&password={quote(secret, safe='')}&" if secret else ""
        before = self._clock_ns()
        status = fetch_json(self._address, f"/cm?{login}cmnd=Status%208")
        return sample_of(status, (before + self._clock_ns()) // 2, channel=self._channel)


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
    period_s=_PERIOD_S,
    make=Tasmota,
)

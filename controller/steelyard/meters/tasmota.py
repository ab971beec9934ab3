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
        self._ask()
        where = "" if self._channel is None else f", channel {self._channel}"
        return MeterFacts(
            description=f"Tasmota plug at {self._address}{where}",
            scope=Scope.WALL,
            period_s=_PERIOD_S,
            power_resolution_w=_POWER_RESOLUTION_W,
            energy_resolution_j=_ENERGY_RESOLUTION_J,
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
    power = _number("Power", energy.get("Power"), channel)
    if power is None:
        raise MeterError("meter_nonsense", f"the plug's status has no power (ENERGY.Power): {str(energy)[:80]}")
    total = _number("Total", energy.get("Total"), channel)
    return MeterSample(time_ns=time_ns, power_w=power, energy_j=None if total is None else total * _J_PER_KWH)


def _number(name: str, value: object, channel: int | None) -> float | None:
    if isinstance(value, list):
        if channel is None or channel >= len(value):
            # One counter for all channels is common; power is told for each.
            raise MeterError(
                "meter_nonsense", f"the plug has {len(value)} channels ({name} {value}): end its URL with ?channel=0"
            )
        value = value[channel]
    elif name == "Total" and channel is not None:
        # It counts every channel together.
        return None
    return number_of(value)


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

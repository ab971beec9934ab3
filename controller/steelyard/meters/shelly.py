"""Shelly plugs and relays of generation 2 and later, by their RPC over HTTP.

Sources: shelly-api-docs.shelly.cloud, Gen2, component Switch (apower in W, aenergy.total in Wh) and Authentication
(digest with SHA-256, the user is always "admin").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from steelyard.errors import UsageError
from steelyard.meters.contract import MeterError, MeterFacts, MeterKind, MeterSample, MeterUrl, Scope
from steelyard.meters.http import base_address, fetch_json, number_of

_PERIOD_S = 1.0
_J_PER_WH = 3600.0
# apower is told in steps of 0.1 W, aenergy.total in steps of 1 mWh.
_POWER_RESOLUTION_W = 0.1
_ENERGY_RESOLUTION_J = 3.6
# The components that measure power, by the name of the option that picks one.
_COMPONENTS = {"switch": "Switch", "pm1": "PM1"}


class Shelly:
    """One switch of a plug or relay."""

    def __init__(self, url: MeterUrl, *, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._address, query = base_address(url)
        self._component, self._channel = _component(url, query)
        self._clock_ns = clock_ns

    def open(self) -> MeterFacts:
        """Read it once."""
        has_counter = self._ask().energy_j is not None
        return MeterFacts(
            description=f"Shelly {self._component.lower()} {self._channel} at {self._address}",
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
        before = self._clock_ns()
        path = f"/rpc/{self._component}.GetStatus?id={self._channel}"
        status = fetch_json(self._address, path, digest_user="admin")
        return sample_of(status, (before + self._clock_ns()) // 2)


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
    period_s=_PERIOD_S,
    make=Shelly,
)

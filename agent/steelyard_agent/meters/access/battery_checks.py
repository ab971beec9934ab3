"""What is believed of a phone's battery: its power while it discharges, in the units that Android documents."""

from __future__ import annotations

from steelyard_agent.meters.sysfs import SourceError

# Android documents microamperes; some vendors tell milliamperes. A phone that runs a model with its processor awake
# draws tens of milliamperes at least, and none draws 10 A: between the two units nothing is ambiguous.
LEAST_CURRENT_UA, _MOST_CURRENT_UA = 10_000, 10_000_000
_LEAST_VOLTAGE_UV, _MOST_VOLTAGE_UV = 2_000_000, 30_000_000


def discharge_power_pw(current_ua: int, voltage_uv: int, place: str) -> int:
    """Return what the battery gives, in picowatts; the sign of the current differs between vendors and says nothing.

    Raises:
        SourceError: the values cannot be in the documented units.
    """
    magnitude_ua = abs(current_ua)
    if magnitude_ua < LEAST_CURRENT_UA:
        raise SourceError(
            "absurd",
            f"{place} says {current_ua} uA, too little for a device that is awake: its vendor seems to tell "
            "milliamperes, or does not measure while the screen is on",
        )
    if magnitude_ua > _MOST_CURRENT_UA:
        raise SourceError(
            "absurd", f"{place} says {current_ua} uA, which no phone draws: its vendor tells another unit"
        )
    if not _LEAST_VOLTAGE_UV <= voltage_uv <= _MOST_VOLTAGE_UV:
        raise SourceError("absurd", f"{place} says {voltage_uv} uV, which no battery of a phone has")
    return magnitude_ua * voltage_uv


def charger_reason(place: str, status: str) -> str:
    """Return why a battery that is not discharging tells nothing about the device."""
    return (
        f"{place} says {status!r}: on a charger the battery's current is not what the device draws; unplug it to "
        "measure energy"
    )

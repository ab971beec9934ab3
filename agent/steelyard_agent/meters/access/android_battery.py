"""Access "android-battery": a power supply's folder with current_now (uA), voltage_now (uV) and status.

Raw values are picowatts. Source: Documentation/ABI/testing/sysfs-class-power of Linux.
"""

from __future__ import annotations

from steelyard_agent.meters.access.battery_checks import charger_reason, discharge_power_pw
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import NumberFile, SourceError, read_text

RUNS_PROGRAM = False


def open_reader(system: System, addresses: tuple[str, ...]) -> BatteryFolder:
    """Return a reader of the folder ``addresses[0]``."""
    return BatteryFolder(system, addresses[0])


class BatteryFolder:
    """Reads the battery, and each time whether it discharges."""

    def __init__(self, system: System, folder: str) -> None:
        self._system = system
        self._folder = folder
        self._current = NumberFile(system, f"{folder}/current_now")
        self._voltage = NumberFile(system, f"{folder}/voltage_now")

    def read(self) -> int:
        """Return the picowatts that the battery gives.

        Raises:
            SourceError: a file gives no value or an absurd one, or the battery is not discharging.
        """
        current_ua, voltage_uv = self._current.read(), self._voltage.read()
        status = read_text(self._system, f"{self._folder}/status")
        if status.lower() != "discharging":
            raise SourceError("charging", charger_reason(f"{self._folder}/status", status))
        return discharge_power_pw(current_ua, voltage_uv, self._folder)

    def close(self) -> None:
        """Give the descriptors back."""
        self._current.close()
        self._voltage.close()

"""Whether a Raspberry Pi's supply is too weak now, from a file: cheap enough for every heartbeat.

Source: drivers/hwmon/raspberrypi-hwmon.c of Linux. The driver "rpi_volt" asks the firmware every two seconds and clears
its sticky bit, so in0_lcrit_alarm is 1 when the supply fell below its limit (4.63 V) within the last two seconds.
"""

from __future__ import annotations

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon import find_chips
from steelyard_agent.meters.sysfs import NumberFile, SourceError
from steelyard_agent.readings import Kind, Reading, Scope, Status

NAME = "under_voltage"
_DRIVER, _FILE = "rpi_volt", "in0_lcrit_alarm"


class UnderVoltageMeter:
    """Reads the alarm; devices without the driver have no reading at all."""

    def __init__(self, system: System) -> None:
        chips, _ = find_chips(system)
        self._file, self._number = "", None
        for chip in chips:
            if chip.driver == _DRIVER and _FILE in chip.files:
                self._file = f"{chip.folder}/{_FILE}"
                self._number = NumberFile(system, self._file)
                break

    def read(self) -> list[Reading]:
        """Return 1.0 or 0.0 in a list, nothing where it is not told."""
        if self._number is None:
            return []
        try:
            alarm = self._number.read()
        except SourceError:
            return []
        return [
            Reading(
                name=NAME,
                value=float(alarm != 0),
                status=Status.MEASURED,
                source=f"{self._file} ({_DRIVER})",
                scope=Scope.BOARD_INPUT,
                unit="1",
                kind=Kind.SAMPLED,
            )
        ]

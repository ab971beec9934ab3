"""Temperatures: thermal zones, and where these know no processor, the processor's own hwmon driver.

Sources: Documentation/driver-api/thermal/sysfs-api.rst and Documentation/hwmon/sysfs-interface.rst of Linux; both give
thousandths of a degree Celsius.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon import HWMON_FOLDER, find_chips
from steelyard_agent.meters.sysfs import NumberFile, SourceError, list_names, text_or_empty
from steelyard_agent.meters.trip_points import read_trip_points, trips_text
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable

THERMAL_FOLDER = "/sys/class/thermal"

# Broken sensors were seen to say -256 C, 0 K and 255 C; silicon that runs Linux is rated for less than this.
LOWEST_CEL = -55.0
HIGHEST_CEL = 150.0

# "mpu-thermal" is the processor's of TI's K3, "cluster0_thermal" of SpacemiT's K1, "BIG" and "MID" of Google's Tensor.
_CPU_ZONE = re.compile(
    r"x86_pkg_temp|.*cpu.*|(big|little)core.*|package.*|soc.?-?thermal|soc_thermal"
    r"|mpu[-_]thermal|cluster[0-9]+[-_]thermal|big|mid|little",
    re.IGNORECASE,
)
_GPU_ZONE = re.compile(r".*gpu.*|g3d", re.IGNORECASE)
# Drivers whose first channel is the processor's: package (coretemp), control temperature (k10temp).
_CPU_DRIVERS = frozenset({"coretemp", "k10temp", "cpu_thermal", "soc_thermal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sensor:
    name: str
    file: str
    detail: str
    scope: Scope


class TemperatureMeter:
    """Reads each thermal zone; ``cpu_temperature`` is the processor's, other zones are ``temperature``.

    The source of a zone names its trip points, which are read by ``probe`` alone.
    """

    name = "temperature"

    def __init__(self, system: System) -> None:
        self._system = system
        self._sensors: list[tuple[_Sensor, NumberFile]] = []

    def probe(self) -> list[Reading]:
        """Look for sensors and read each once; never raises, at least one reading."""
        self.close()
        zones, zones_reason = _find_zones(self._system)
        self._open(zones)
        readings = self.read()
        if not any(reading.name == "cpu_temperature" and reading.value is not None for reading in readings):
            fallback = _find_processor_chips(self._system)
            self._open(fallback)
            readings += [_read(sensor, file) for sensor, file in self._sensors[len(zones) :]]
        return readings or [self._nothing(zones_reason)]

    def read(self) -> list[Reading]:
        """Read the sensors of the last probe."""
        return [_read(sensor, file) for sensor, file in self._sensors]

    def close(self) -> None:
        """Give the descriptors back."""
        for _, file in self._sensors:
            file.close()
        self._sensors = []

    def _open(self, sensors: list[_Sensor]) -> None:
        self._sensors += [(sensor, NumberFile(self._system, sensor.file)) for sensor in sensors]

    def _nothing(self, zones_reason: str) -> Reading:
        chips, chips_reason = find_chips(self._system)
        drivers = ", ".join(sorted({chip.driver for chip in chips}))
        seen = f"drivers found: {drivers}" if drivers else chips_reason or "no drivers"
        reason = (
            f"no sensor; looked at {THERMAL_FOLDER} ({zones_reason or 'no thermal zones'}), {HWMON_FOLDER} ({seen})"
        )
        return unavailable(
            "cpu_temperature", reason=reason, source=THERMAL_FOLDER, scope=Scope.SOC, unit="Cel", kind=Kind.SAMPLED
        )


def processor_temperature_file(system: System) -> str:
    """Return the file of the processor's sensor that says a credible temperature now, "" when there is none."""
    zones, _ = _find_zones(system)
    sensors = [*(zone for zone in zones if zone.name == "cpu_temperature"), *_find_processor_chips(system)]
    for sensor in sensors:
        file = NumberFile(system, sensor.file)
        if _read(sensor, file).value is not None:
            return sensor.file
    return ""


def is_processor_zone(kind: str) -> bool:
    """Whether a zone of this ``type`` is the processor's or its chip's."""
    return _CPU_ZONE.fullmatch(kind) is not None


def is_gpu_zone(kind: str) -> bool:
    """Whether a zone of this ``type`` is the GPU's."""
    return _GPU_ZONE.fullmatch(kind) is not None


def checked_cel(value_cel: float, file: str) -> float:
    """Return the temperature that ``file`` said.

    Raises:
        SourceError: No silicon that runs Linux has it.
    """
    if not LOWEST_CEL <= value_cel <= HIGHEST_CEL:
        limits = f"{LOWEST_CEL:g} to {HIGHEST_CEL:g} Cel"
        raise SourceError("absurd", f"{file} says {value_cel:g} Cel, which is outside {limits}")
    return value_cel


def _find_zones(system: System) -> tuple[list[_Sensor], str]:
    names, reason = list_names(system, THERMAL_FOLDER)
    zones = []
    for name in names:
        if re.fullmatch(r"thermal_zone[0-9]+", name):
            folder = f"{THERMAL_FOLDER}/{name}"
            kind = text_or_empty(system, f"{folder}/type") or "type not told"
            trips = trips_text(read_trip_points(system, folder))
            zones.append(_sensor(f"{folder}/temp", kind, trips))
    return zones, reason


def _sensor(file: str, kind: str, trips: str) -> _Sensor:
    detail = f"{kind}; {trips}" if trips else kind
    if is_processor_zone(kind):
        return _Sensor(name="cpu_temperature", file=file, detail=detail, scope=Scope.SOC)
    if is_gpu_zone(kind):
        return _Sensor(name="gpu_temperature", file=file, detail=detail, scope=Scope.SOC)
    return _Sensor(name="temperature", file=file, detail=detail, scope=Scope.SYSTEM)


def _find_processor_chips(system: System) -> list[_Sensor]:
    chips, _ = find_chips(system)
    return [
        _Sensor(name="cpu_temperature", file=f"{chip.folder}/temp1_input", detail=chip.driver, scope=Scope.SOC)
        for chip in chips
        if chip.driver in _CPU_DRIVERS and "temp1_input" in chip.files
    ]


def _read(sensor: _Sensor, file: NumberFile) -> Reading:
    source = f"{sensor.file} ({sensor.detail})"
    try:
        value_cel = checked_cel(file.read() / 1000, sensor.file)
    except SourceError as error:
        return unavailable(
            sensor.name, reason=str(error), source=source, scope=sensor.scope, unit="Cel", kind=Kind.SAMPLED
        )
    return Reading(
        name=sensor.name,
        value=value_cel,
        status=Status.MEASURED,
        source=source,
        scope=sensor.scope,
        unit="Cel",
        kind=Kind.SAMPLED,
    )

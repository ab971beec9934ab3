"""Single-channel power chips of the drivers ina2xx and ina260: INA219, INA220, INA226, INA230, INA231, INA260.

Sources: Documentation/hwmon/ina2xx.rst and drivers/hwmon/ina2xx.c of Linux.
"""

from __future__ import annotations

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon import Chip, positive_or_none, update_interval_s
from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.meters.rails import rail_scope, reading_name
from steelyard_agent.meters.sysfs import label_or_empty
from steelyard_agent.readings import Kind

# What the driver assumes when nobody told it the shunt.
_DEFAULT_SHUNT_MICROOHM = 10_000
_SHUNT_CAUTION = (
    "the shunt is the driver's default of 10 mOhm: check the board (one that carries 100 mOhm reads ten times too "
    "high) and write the right value to {file}"
)
# The driver keeps the chip's calibration fixed (since Linux 4.16), so that the step of the current register is
# 10 uV or 2.5 uV over the shunt, and that of the power register 20 or 25 times as many watts.
_STEPS = {
    "ina219": (10_000_000, 20),
    "ina220": (10_000_000, 20),
    "ina226": (2_500_000, 25),
    "ina230": (2_500_000, 25),
    "ina231": (2_500_000, 25),
}
INA2XX_DRIVERS = tuple(_STEPS)
# Its shunt of 2 mOhm is inside the chip: there is nothing to get wrong, and the power register steps by 10 mW.
_INA260_RESOLUTION_W = 0.01


def find_ina2xx(system: System, chip: Chip) -> list[PowerSource]:
    """Return the chip's source, none when it tells no power."""
    if "power1_input" not in chip.files:
        return []
    shunt_file = f"{chip.folder}/shunt_resistor"
    shunt = positive_or_none(system, shunt_file) if "shunt_resistor" in chip.files else None
    known = f"shunt {shunt / 1000:g} mOhm" if shunt else "shunt not told"
    caution = _SHUNT_CAUTION.format(file=shunt_file) if shunt == _DEFAULT_SHUNT_MICROOHM else ""
    return [_source(system, chip, known, resolution=_step_w(chip.driver, shunt) if shunt else None, caution=caution)]


def find_ina260(system: System, chip: Chip) -> list[PowerSource]:
    """Return the chip's source, none when it tells no power."""
    if "power1_input" not in chip.files:
        return []
    return [_source(system, chip, "shunt in the chip", resolution=_INA260_RESOLUTION_W, caution="")]


def _source(system: System, chip: Chip, shunt: str, *, resolution: float | None, caution: str) -> PowerSource:
    label = label_or_empty(system, f"{chip.folder}/label")
    interval_s = update_interval_s(system, chip)
    return PowerSource(
        name=reading_name(label),
        kind=Kind.SAMPLED,
        scope=rail_scope(label),
        addresses=(f"{chip.folder}/power1_input",),
        scale=1e-6,
        detail=", ".join(part for part in (chip.driver, label, shunt) if part),
        resolution=resolution,
        caution=caution,
        averaging_s=interval_s or 0.0,
        update_period_s=interval_s,
    )


def _step_w(driver: str, shunt_microohm: int) -> float | None:
    current_dividend, power_factor = _STEPS[driver]
    # A shunt that no board carries would leave no step.
    return power_factor * round(current_dividend / shunt_microohm) / 1e6 or None

"""Triple power chips of the driver ina3221 (hwmon), as on Jetson boards since JetPack 5.

Channels 1 to 3 are ``inN_input`` (mV) and ``currN_input`` (mA); ``in4`` to ``in6`` are the drops over the shunts in
microvolts and ``in7`` their sum: never power. Sources: Documentation/hwmon/ina3221.rst and drivers/hwmon/ina3221.c of
Linux; the steps are those of the chip's data sheet (TI SBOS576).
"""

from __future__ import annotations

from math import hypot

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon import Chip, positive_or_none, update_interval_s
from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.meters.rails import UNCONNECTED_LABELS, rail_caution, rail_scope, reading_name
from steelyard_agent.meters.sysfs import label_or_empty, text_or_empty
from steelyard_agent.readings import Kind, Scope

_SHUNT_STEP_UV = 40
# The rails that together are all that a module takes. AGX Orin: NVIDIA's total of tegrastats.
_MODULE_RAILS = (("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),)
_MODULE_CAUTION = "the sum of {rails}: the module alone, without its carrier board"


def find_ina3221(system: System, chip: Chip) -> list[PowerSource]:
    """Return the module's sum where the chip has all of its rails, then each rail with a label that is switched on."""
    rails = {}
    for channel in (1, 2, 3):
        label = label_or_empty(system, f"{chip.folder}/in{channel}_label")
        enabled = text_or_empty(system, f"{chip.folder}/in{channel}_enable") != "0"
        if label not in UNCONNECTED_LABELS and enabled:
            rails[label] = _rail(system, chip, channel, label)
    complete = [labels for labels in _MODULE_RAILS if set(labels) <= set(rails)]
    return [*(_module(chip, [rails[label] for label in labels], labels) for labels in complete), *rails.values()]


def _rail(system: System, chip: Chip, channel: int, label: str) -> PowerSource:
    shunt = positive_or_none(system, f"{chip.folder}/shunt{channel}_resistor")
    bus_mv = positive_or_none(system, f"{chip.folder}/in{channel}_input")
    interval_s = update_interval_s(system, chip)
    return PowerSource(
        name=reading_name(label),
        kind=Kind.SAMPLED,
        scope=rail_scope(label),
        # mV times mA.
        addresses=(f"{chip.folder}/in{channel}_input", f"{chip.folder}/curr{channel}_input"),
        scale=1e-6,
        detail=f"{chip.driver}, {label}, " + (f"shunt {shunt / 1000:g} mOhm" if shunt else "shunt not told"),
        resolution=_SHUNT_STEP_UV / shunt * bus_mv / 1000 if shunt and bus_mv else None,
        caution=rail_caution(label),
        averaging_s=interval_s or 0.0,
        update_period_s=interval_s,
    )


def _step_of_sum(steps: list[float | None]) -> float | None:
    """Return the step whose uncertainty the sum has: where each rail lies within its own is independent of the others.

    The largest of them alone would make a module that rests look better known than it is (three rails at rest were off
    by 0.34 W in a replay, with one step of 0.4 W as the reason).
    """
    known = [step for step in steps if step is not None]
    return hypot(*known) if len(known) == len(steps) else None


def _module(chip: Chip, rails: list[PowerSource], labels: tuple[str, ...]) -> PowerSource:
    shown = " + ".join(labels)
    return PowerSource(
        name="module_power",
        kind=Kind.SAMPLED,
        scope=Scope.MODULE,
        access="file-pairs",
        addresses=tuple(file for rail in rails for file in rail.addresses),
        place=chip.folder,
        scale=1e-6,
        detail=f"{chip.driver}, {shown}",
        resolution=_step_of_sum([rail.resolution for rail in rails]),
        caution=_MODULE_CAUTION.format(rails=shown),
        averaging_s=rails[0].averaging_s,
        update_period_s=rails[0].update_period_s,
    )

"""The power chip of a Raspberry Pi 5 (and Compute Module 5, Pi 500): the sum of its rails, told by the firmware.

It has no file in sysfs. Source: ``vcgencmd pmic_read_adc`` in the documentation of Raspberry Pi, and measurements of
others: 22.6 to 23.9 ms a read, so that it is read ten times a second at most.
"""

from __future__ import annotations

import os

from steelyard_agent.meters.access.pi_pmic import COMMAND
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power_source import FoundSources, PowerSource, missing_reading, why_silent
from steelyard_agent.meters.sysfs import text_or_empty
from steelyard_agent.readings import Kind, Scope

# Every board with this processor has this power chip.
_PROCESSOR = "brcm,bcm2712"
_DEVICE = "/dev/vcio"

_SOURCE = PowerSource(
    name="board_rails_power",
    kind=Kind.SAMPLED,
    scope=Scope.BOARD_RAILS,
    access="pi-pmic",
    addresses=COMMAND,
    place=" ".join(COMMAND),
    scale=1e-6,
    detail="power chip, sum of the rails with volts and amperes",
    caution="without USB, HATs, PCIe at 5 V and what the converters lose: the board takes more than this",
    least_period_s=0.1,
)


def find_pi_pmic_source(system: System) -> FoundSources:
    """Return the chip's sum, or why it does not answer; nothing on other boards. Never raises."""
    if _PROCESSOR not in text_or_empty(system, "/proc/device-tree/compatible").split("\x00"):
        return FoundSources()
    failure = why_silent(system, _SOURCE)
    if failure is None:
        return FoundSources(sources=(_SOURCE,))
    return FoundSources(missing=(missing_reading(_SOURCE, _explained(system, str(failure))),))


def _explained(system: System, failure: str) -> str:
    if "not registered" in failure:
        return f"{failure}; this firmware does not know the command: update it (sudo rpi-eeprom-update -a) and reboot"
    if _is_denied(system):
        return (
            f"permission denied on {_DEVICE}, which vcgencmd needs: add the agent's user to the group video "
            "(sudo usermod -aG video USER) and log in again"
        )
    return failure


def _is_denied(system: System) -> bool:
    try:
        os.close(system.open_descriptor(system.path(_DEVICE), os.O_RDWR))
    except PermissionError:
        return True
    except OSError:
        return False
    return False

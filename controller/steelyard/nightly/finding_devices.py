"""The devices of a night, as the controller knows them now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.errors import UsageError
from steelyard.nightly.presence import LOCAL_NAME
from steelyard.suites.cells import NightDevice, UnmetDevice, devices_of

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.nightly.runs import NightOptions
    from steelyard.suites.suite import Suite


def find_devices(
    client: Client, suite: Suite, options: NightOptions
) -> tuple[tuple[NightDevice, ...], tuple[UnmetDevice, ...]]:
    """Return the devices of a night; the one that is started on demand is started where the suite names it.

    Raises:
        UsageError: ``no_such_device``: ``options.only`` names none of the suite's.
    """
    if any(slot.name == LOCAL_NAME for slot in suite.devices):
        client.device(LOCAL_NAME)
    devices, unmet = devices_of(suite, client.devices(), only=options.only, budget_s=options.budget_s)
    if options.only and not devices and not unmet:
        raise UsageError(
            "no_such_device",
            f"none of the suite's devices is {', '.join(options.only)}; it names "
            f"{', '.join(slot.name for slot in suite.devices)}",
        )
    return devices, unmet

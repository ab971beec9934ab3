"""What the rules look at. A sensor that cannot be read answers with a sentence, never with a guess."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import list_names, text_or_empty
from steelyard_agent.validity.processor_load import other_load, read_processor_times

# A quarter of one core: a desktop that nobody touches stays below, one core at work does not.
_IDLE_LOAD = 0.25
_LOOK_S = 1.0
_POWER_SUPPLIES = "/sys/class/power_supply"
# NMMetered of NetworkManager's D-Bus interface: 0 unknown, 1 yes, 2 no, 3 guessed yes, 4 guessed no.
_METERED = {"1": True, "2": False, "3": True, "4": False}
_ASK_METERED = (
    "busctl",
    "get-property",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "Metered",
)


def charging_objection(system: System) -> str:
    """Return why this device does not run from the mains, "" when it does; a desktop without sensors cannot tell."""
    names, why = list_names(system, _POWER_SUPPLIES)
    seen = []
    for name in names:
        folder = f"{_POWER_SUPPLIES}/{name}"
        kind, status = text_or_empty(system, f"{folder}/type"), text_or_empty(system, f"{folder}/status")
        if kind == "Battery" and status:
            # "Not charging" is a full battery that is kept so, on a charger.
            if status in {"Charging", "Full", "Not charging"}:
                return ""
            seen.append(f"{name} says {status}")
        elif online := text_or_empty(system, f"{folder}/online"):
            if online != "0":
                return ""
            seen.append(f"{name} is not plugged in")
    if seen:
        return f"this device is not charging ({', '.join(seen)[:200]})"
    return f"whether this device charges cannot be read ({_POWER_SUPPLIES}: {why or 'nothing in it tells'})"


def metered_objection(system: System) -> str:
    """Return why the network counts as metered, "" when NetworkManager says that it is not."""
    answer = system.run_command(_ASK_METERED)
    if answer.output is None:
        return f"whether the network is metered cannot be read ({answer.reason})"
    kind, _, value = answer.output.partition(" ")
    if kind != "u" or value not in _METERED:
        return f"whether the network is metered cannot be read (NetworkManager says {answer.output[:40]!r})"
    return "the network is metered, says NetworkManager" if _METERED[value] else ""


async def busy_objection(
    system: System, *, is_ours: bool = True, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> str:
    """Return why the device is not idle, "" when others leave it alone; takes a second.

    Without ``is_ours`` the agent itself runs elsewhere, as for a phone on a cable.
    """
    before = await asyncio.to_thread(read_processor_times, system, is_ours=is_ours)
    await sleep(_LOOK_S)
    after = await asyncio.to_thread(read_processor_times, system, is_ours=is_ours)
    for reading in (before, after):
        if isinstance(reading, str):
            return f"whether this device is idle cannot be read ({reading})"
    assert not isinstance(before, str)
    assert not isinstance(after, str)
    load = other_load(before, after)
    if load <= _IDLE_LOAD:
        return ""
    return f"this device is not idle (others keep {load:.2f} cores busy, {_IDLE_LOAD:g} are allowed)"

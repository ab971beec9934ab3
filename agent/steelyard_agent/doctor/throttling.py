"""What there is by which this device shows that it slowed itself down; the verdicts of blocks are made from it.

Sources: Documentation/driver-api/thermal/sysfs-api.rst, Documentation/cpu-freq/cpufreq-stats.rst and
arch/x86/kernel/cpu/mce/therm_throt.c of Linux, Raspberry Pi documentation (vcgencmd get_throttled), NVIDIA Jetson Linux
developer guide (over-current alarms of the INA3221).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from steelyard_agent.doctor.diagnosis import ThrottleEvidence
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import find_policies, keeps_times, policy_file
from steelyard_agent.meters.devfreq import find_devfreq
from steelyard_agent.meters.family import is_raspberry_pi
from steelyard_agent.meters.sysfs import list_names, text_or_empty
from steelyard_agent.meters.temperature import THERMAL_FOLDER
from steelyard_agent.meters.vcgencmd import read_flags
from steelyard_agent.surroundings.android_facts import api_level
from steelyard_agent.surroundings.android_thermal import read_status
from steelyard_agent.surroundings.contract import ThrottleVerdict
from steelyard_agent.surroundings.cooling_kinds import cooling_kind
from steelyard_agent.surroundings.device import find_throttle_sources
from steelyard_agent.surroundings.intel_throttle import counts_power_limit, find_counters
from steelyard_agent.surroundings.over_current import find_current_alarms
from steelyard_agent.surroundings.pi_firmware import flags_text
from steelyard_agent.surroundings.thermal_zones import slowing_zones
from steelyard_agent.surroundings.time_in_state import TimeInState
from steelyard_agent.surroundings.verdict import judge

# What cooling devices say that slow nothing down; -1 is intel_powerclamp's word for it.
_AT_REST = frozenset({"0", "-1"})


def throttle_evidence(system: System) -> tuple[ThrottleEvidence, ...]:
    """Return what can be looked at here, empty where nothing tells; never raises."""
    sources = (_trip_points, _cooling, _limits, _time_in_state, _throttle_counts, _alarms, _firmware, _android)
    return tuple(
        ThrottleEvidence(name=name, detail=detail) for source in sources for name, detail in source(system) if detail
    )


def throttle_doubt(system: System) -> str:
    """Return why no block on this device can be shown not to have throttled as things stand, "" when one can.

    Two looks without a block between them are judged as those around a block are.
    """
    if TimeInState(system).may_rule_out():
        return ""
    sources = find_throttle_sources(system)
    looks = [[source.look() for source in sources] for _ in range(2)]
    report = judge([source.weigh(first, last, ()) for source, first, last in zip(sources, *looks, strict=True)])
    return "; ".join(report.not_looked_at) if report.verdict is ThrottleVerdict.UNKNOWN else ""


def _trip_points(system: System) -> Iterator[tuple[str, str]]:
    """Yield the zones that slow something down; critical trip points alone switch off and show nothing before."""
    by_degrees: dict[float, list[str]] = {}
    for zone, degrees in slowing_zones(system):
        by_degrees.setdefault(degrees, []).append(zone)
    yield "trip points", "; ".join(f"{_counted(zones)} passive from {at:g} C" for at, zones in by_degrees.items())


def _cooling(system: System) -> Iterator[tuple[str, str]]:
    names, _ = list_names(system, THERMAL_FOLDER)
    by_state: dict[str, list[str]] = {}
    # One that cannot be read is told by the verdict of a block.
    for name in names:
        if re.fullmatch(r"cooling_device[0-9]+", name):
            kind = text_or_empty(system, f"{THERMAL_FOLDER}/{name}/type")
            state = text_or_empty(system, f"{THERMAL_FOLDER}/{name}/cur_state")
            if cooling_kind(kind) is not None and state:
                by_state.setdefault("at rest" if state in _AT_REST else f"at state {state}", []).append(kind)
    groups = [f"{_counted(kinds)} {state}" for state, kinds in by_state.items()]
    yield "cooling", "; ".join(groups)


def _time_in_state(system: System) -> Iterator[tuple[str, str]]:
    policies, _ = find_policies(system)
    told = [name for name in policies if keeps_times(system, name)]
    if told:
        yield "frequency", f"time_in_state of {', '.join(told)}"


def _throttle_counts(system: System) -> Iterator[tuple[str, str]]:
    files = find_counters(system)
    what = "heat and the power limit" if counts_power_limit(files) else "heat alone"
    names = ", ".join(dict.fromkeys(file.rpartition("/")[2] for file in files))
    yield "counters", f"{names}: {what}" if names else ""


def _alarms(system: System) -> Iterator[tuple[str, str]]:
    by_driver = Counter(
        (alarm.driver, "event counter" if alarm.is_counter else "over-current alarm")
        for alarm in find_current_alarms(system)
    )
    told = [f"{count} {kind}{'s' if count > 1 else ''} of {driver}" for (driver, kind), count in by_driver.items()]
    yield "alarms", "; ".join(told)


def _limits(system: System) -> Iterator[tuple[str, str]]:
    policies, _ = find_policies(system)
    clocks = [name for name in policies if _has(system, policy_file(name, "scaling_max_freq"))]
    names = ", ".join([*clocks, *find_devfreq(system)])
    yield "limits", f"a frequency limit that falls: {names}" if names else ""


def _firmware(system: System) -> Iterator[tuple[str, str]]:
    if is_raspberry_pi(system):
        flags = read_flags(system)
        yield (
            "firmware",
            flags.reason if flags.bits is None else f"get_throttled {flags.bits:#x}: {flags_text(flags.bits)}",
        )


def _android(system: System) -> Iterator[tuple[str, str]]:
    if api_level(system) is not None:
        status = read_status(system)
        yield "Android", status.reason if status.status is None else f"thermal status {status.status} of 0 to 6"


def _counted(names: list[str]) -> str:
    return ", ".join(name if count == 1 else f"{count}x {name}" for name, count in Counter(names).items())


def _has(system: System, absolute: str) -> bool:
    return bool(text_or_empty(system, absolute))

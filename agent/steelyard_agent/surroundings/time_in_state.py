"""How long each clock ran at which frequency, from the kernel's own statistics.

Source: Documentation/cpu-freq/cpufreq-stats.rst of Linux: lines of kHz and time in units of 10 ms, since boot.

What time below the steady frequency proves depends on the governor. One that never moves the clock by itself
(performance, userspace): the steady frequency is the highest that was seen between the looks, and any time below it was
not the governor's choice. One that does (ondemand, schedutil): between two looks the device also rests, starts a
process and loads a model, and its clock falls with that. There only the timed samples are sure to have kept the
processor busy, and only as a sum: where they took longer than the clock was at the steady frequency or above, the rest
of them ran below. Steady is then the highest frequency at which half of that time fits. With several clocks the samples
may have moved between cores, and nothing is said.

Nothing below is no proof where the clock does what it wants: a Raspberry Pi's firmware, a Jetson's throttling
hardware and a PC's processor lower it without telling the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import find_policies, keeps_times, policy_file, policy_text
from steelyard_agent.meters.family import is_raspberry_pi
from steelyard_agent.meters.sysfs import SourceError, read_text
from steelyard_agent.surroundings.contract import Weighed

# The share of the time below the steady frequency that is evidence.
BELOW_LIMIT = 0.02
# Time that is told in steps of 10 ms is wrong by a step at either end.
_TICK_S = 0.01
_LEAST_BELOW_S = 2 * _TICK_S
STILL_GOVERNORS = frozenset({"performance", "userspace"})
# The driver that sets a clock of the kernel's own (drivers/cpufreq/cpufreq-dt.c), so that what it set is what ran.
# Others ask firmware (scmi, scpi, tegra194's BPMP) or have hardware beside them that slows the clock down (SOCTHERM).
_DRIVER_IN_CHARGE = "cpufreq-dt"

Seconds = Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTimes:
    """Seconds at each frequency (kHz) of one policy since boot, and its governor; None with the ``reason``."""

    seconds: Seconds | None
    governor: str
    reason: str = ""


TimesMark = tuple[PolicyTimes, ...]


class TimeInState:
    """The policies whose statistics the kernel keeps; the mark is their times."""

    def __init__(self, system: System) -> None:
        self._system = system
        policies, _ = find_policies(system)
        self._policies = [one for one in policies if keeps_times(system, one)]
        told = not is_raspberry_pi(system)
        self._in_charge = [
            told and policy_text(system, one, "scaling_driver") == _DRIVER_IN_CHARGE for one in self._policies
        ]

    def may_rule_out(self) -> bool:
        """Return whether blocks of now, without time below the steady frequency, would rule throttling out."""
        governors = [policy_text(self._system, one, "scaling_governor") for one in self._policies]
        return bool(governors) and all(self._in_charge) and STILL_GOVERNORS.issuperset(governors)

    def look(self) -> TimesMark:
        """Read the times of every policy."""
        return tuple(_read(self._system, policy) for policy in self._policies)

    def weigh(self, before: TimesMark, after: TimesMark, latency_ns: Sequence[int]) -> Weighed:
        """Return the clocks that ran below their steady frequency; clocks that never did rule throttling out."""
        timed_s = sum(latency_ns) / 1e9
        told = [
            self._weigh_policy(index, first, last, timed_s)
            for index, (first, last) in enumerate(zip(before, after, strict=True))
        ]
        evidence = tuple(sentence for one in told for sentence in one.evidence)
        return Weighed(
            evidence=evidence,
            not_looked_at=tuple(sentence for one in told for sentence in one.not_looked_at),
            rules_out=not evidence and bool(told) and all(one.rules_out for one in told),
        )

    def _weigh_policy(self, index: int, before: PolicyTimes, after: PolicyTimes, timed_s: float) -> Weighed:
        name = self._policies[index]
        if before.seconds is None or after.seconds is None:
            return Weighed(not_looked_at=(before.reason or after.reason,))
        if was_reset(before.seconds, after.seconds):
            return Weighed(not_looked_at=(f"{name}: the time at each frequency was reset during the block",))
        seconds = elapsed(before.seconds, after.seconds)
        if not seconds:
            return Weighed()
        if before.governor == after.governor and after.governor in STILL_GOVERNORS:
            return _weigh_still(name, seconds, in_charge=self._in_charge[index])
        if len(self._policies) > 1:
            reason = f"{name}: the governor {after.governor or 'unknown'} moves several clocks by itself"
            return Weighed(not_looked_at=(reason,))
        return _weigh_moved(name, after.governor, seconds, timed_s)


def parse_times(text: str) -> dict[int, float]:
    """Return seconds by frequency (kHz) of a ``time_in_state`` file.

    Raises:
        ValueError: A line is not two whole numbers.
    """
    seconds = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9]{1,12})\s+([0-9]{1,18})", line.strip())
        if match is None:
            raise ValueError(f"{line[:40]!r} is not a frequency and a time")
        seconds[int(match.group(1))] = int(match.group(2)) * _TICK_S
    return seconds


def elapsed(before: Seconds, after: Seconds) -> dict[int, float]:
    """Return seconds by frequency between two looks, empty when none passed or the statistics were reset."""
    spent = {khz: after[khz] - before.get(khz, 0.0) for khz in after}
    return {} if was_reset(before, after) or sum(spent.values()) < _TICK_S / 2 else spent


def was_reset(before: Seconds, after: Seconds) -> bool:
    """Return whether any time went backwards or away, as when somebody writes to ``stats/reset``."""
    return any(after.get(khz, 0.0) - spent_s < -_TICK_S / 2 for khz, spent_s in before.items())


def _weigh_still(name: str, seconds: Seconds, *, in_charge: bool) -> Weighed:
    steady_khz = max(khz for khz, spent_s in seconds.items() if spent_s > _TICK_S / 2)
    total_s = sum(seconds.values())
    below_s = sum(spent_s for khz, spent_s in seconds.items() if khz < steady_khz)
    if below_s > BELOW_LIMIT * total_s and below_s > _LEAST_BELOW_S * 0.99:
        return _below(name, below_s / total_s, "of the time", steady_khz)
    if steady_khz < max(seconds):
        reason = (
            f"{name} ran at {_mhz(steady_khz)} at most, of {_mhz(max(seconds))}: limited all along, by whom is open"
        )
        return Weighed(not_looked_at=(reason,))
    return Weighed(rules_out=in_charge)


def _weigh_moved(name: str, governor: str, seconds: Seconds, timed_s: float) -> Weighed:
    """Weigh a clock that its governor moves: what of the timed samples cannot have run at the steady frequency."""
    if timed_s <= 0:
        return Weighed()
    at_least_s = 0.0
    for khz in sorted(seconds, reverse=True):
        at_least_s += seconds[khz]
        if at_least_s >= timed_s / 2:
            below_s = timed_s - at_least_s
            if below_s > BELOW_LIMIT * timed_s and below_s > _LEAST_BELOW_S * 0.99:
                return _below(name, below_s / timed_s, "of the timed samples", khz)
            break
    reason = f"{name}: the governor {governor or 'unknown'} moves the clock by itself; performance would make it tell"
    return Weighed(not_looked_at=(reason,))


def _below(name: str, share: float, whole: str, steady_khz: int) -> Weighed:
    return Weighed(evidence=(f"{name} ran below its steady {_mhz(steady_khz)} for {100 * share:.0f} % {whole}",))


def _mhz(khz: int) -> str:
    return f"{khz / 1000:g} MHz"


def _read(system: System, policy: str) -> PolicyTimes:
    file = policy_file(policy, "stats/time_in_state")
    governor = policy_text(system, policy, "scaling_governor")
    try:
        return PolicyTimes(seconds=parse_times(read_text(system, file)), governor=governor)
    except SourceError as error:
        return PolicyTimes(seconds=None, governor=governor, reason=str(error))
    except ValueError as error:
        return PolicyTimes(seconds=None, governor=governor, reason=f"{file}: {error}")

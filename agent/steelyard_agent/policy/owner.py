"""The owner's policy: the local stop first, then each rule of ``policy.toml``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard_agent.jobs.work_policy import PolicyRefusal
from steelyard_agent.meters.contract import System

if TYPE_CHECKING:
    from steelyard_agent.policy.document import PolicyRules
    from steelyard_agent.policy.usage import DailyUsage


class OwnersPolicy:
    """Implements ``WorkPolicy`` by the files of a state directory, which are read anew each time.

    ``clock_s`` is this device's wall clock; windows and days are of its local time, right or wrong.
    """

    def __init__(
        self, state_root: Path, *, system: System, runs_here: bool = True, clock_s: Callable[[], float] = time.time
    ) -> None:
        """Use ``state_root``; without ``runs_here`` the work is done by another device, a phone on a cable."""
        self._root = state_root
        self._system = system
        self._runs_here = runs_here
        self._clock_s = clock_s
        self._kept_usage: DailyUsage | None = None

    @property
    def _usage(self) -> DailyUsage:
        from steelyard_agent.policy.usage import DailyUsage

        self._kept_usage = self._kept_usage or DailyUsage(self._root)
        return self._kept_usage

    async def refusal(self) -> PolicyRefusal | None:
        """See ``WorkPolicy``: the first rule that says no."""
        # Imported when work is offered: an agent that idles holds no reader of policies.
        from steelyard_agent.policy.document import read_rules

        now = datetime.fromtimestamp(self._clock_s())  # noqa: DTZ006 (a window is meant by the clock on the wall)
        if (paused := self._paused()) is not None:
            return paused
        try:
            rules = read_rules(self._root)
        except ValueError as error:
            return PolicyRefusal(rule="policy", sentence=f"this device takes no work: {error}")
        return self._by_time(rules, now) or await self._by_sensors(rules)

    def worked(self, duration_s: float) -> None:
        """See ``WorkPolicy``."""
        from steelyard_agent.policy.document import read_rules

        try:
            counts = read_rules(self._root).minutes_per_day is not None
        except ValueError:
            counts = True
        if counts:
            day = datetime.fromtimestamp(self._clock_s()).date()  # noqa: DTZ006 (the owner's day)
            self._usage.add(day.isoformat(), duration_s)

    def _paused(self) -> PolicyRefusal | None:
        from steelyard_agent.policy.pause import read_pause

        pause = read_pause(self._root)
        if pause is None or (pause.until_s is not None and pause.until_s <= self._clock_s()):
            return None
        until = "until `steelyard-agent resume`" if pause.until_s is None else f"until {_shown(pause.until_s)}"
        return PolicyRefusal(
            rule="pause",
            sentence=f"this device was stopped by its owner, {until}",
            until_unix_ns=None if pause.until_s is None else int(pause.until_s * 1e9),
        )

    def _by_time(self, rules: PolicyRules, now: datetime) -> PolicyRefusal | None:
        from steelyard_agent.policy.windows import next_opening

        if rules.windows and (opens := next_opening(rules.windows, now)) > now:
            return _until(opens, "windows", "this device works in its maintenance windows only")
        if rules.minutes_per_day is None:
            return None
        used_s = self._usage.used_s(now.date().isoformat())
        if used_s < rules.minutes_per_day * 60:
            return None
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time())
        used = f"{used_s / 60:.0f} of {rules.minutes_per_day} minutes"
        return _until(midnight, "minutes_per_day", f"this device has worked enough today ({used})")

    async def _by_sensors(self, rules: PolicyRules) -> PolicyRefusal | None:
        from steelyard_agent.policy.sensors import busy_objection, charging_objection, metered_objection

        # Files and programs of a device that hangs must not hold up the link.
        if rules.charging_only and (why := await asyncio.to_thread(charging_objection, self._system)):
            return PolicyRefusal(rule="charging_only", sentence=f"{why}, and its owner lets it work only then")
        if rules.unmetered_only and (why := await asyncio.to_thread(metered_objection, self._system)):
            return PolicyRefusal(rule="unmetered_only", sentence=f"{why}, and its owner wants an unmetered one")
        if rules.idle_only and (why := await busy_objection(self._system, is_ours=self._runs_here)):
            return PolicyRefusal(rule="idle_only", sentence=f"{why}, and its owner lets it work only then")
        return None


def _until(moment: datetime, rule: str, sentence: str) -> PolicyRefusal:
    at_s = moment.timestamp()
    return PolicyRefusal(rule=rule, sentence=f"{sentence}: not before {_shown(at_s)}", until_unix_ns=int(at_s * 1e9))


def _shown(at_s: float) -> str:
    return datetime.fromtimestamp(at_s).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 (as the clock on the wall shows it)

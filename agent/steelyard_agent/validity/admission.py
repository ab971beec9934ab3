"""The gate: holds a block back until its conditions hold, a bounded time, while the link may be used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from steelyard_agent.validity.conditions import Conditions
from steelyard_agent.validity.rules import Checked, Finding, GateRules, Heat, check

# How often a block that waits looks again.
_LOOK_S = 1.0
# Load is counted from the last look where that is not older and not younger than this: what ran since then was ours or
# another's, and nothing has to be waited for. The kernel counts in steps of 10 ms.
_YOUNGEST_S, _OLDEST_S = 0.25, 60.0
_NEXT_STEP = {
    "not_cooled": "cool the device, wait longer by --gate-wait, or measure all the same by --no-gate",
    "too_busy": "end what runs there, raise --max-other-load, or measure all the same by --no-gate",
    "memory_short": "end what holds the memory there, or measure all the same by --no-gate",
    "memory_pressure": "end what holds the memory there, or measure all the same by --no-gate",
    "charge_low": "charge it, or lower --min-charge",
    "other_governor": "set it there by steelyard-agent doctor --fix, or leave --governor out",
    "cannot_be_read": "leave that condition out, or give the agent the right to read it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What the gate said of a block; ``refusal`` is why it may not begin, "" when it may, ``reason`` its word."""

    waited_ms: int = 0
    not_looked_at: tuple[str, ...] = ()
    refusal: str = ""
    reason: str = ""


class Gate(Protocol):
    """Holds blocks back; used by one job at a time."""

    async def begin(self) -> None:
        """A job begins: the device is now as cold as its blocks want to find it."""
        ...

    async def admit(
        self, rules: GateRules, *, core_ids: Sequence[int], tell: Callable[[str], Awaitable[None]]
    ) -> Admission:
        """Wait until the rules hold, or for as long as waiting makes sense; ``tell`` hears what is waited for."""
        ...


class OpenGate:
    """Lets every block through, for a device whose times are not read."""

    async def begin(self) -> None:
        """Look at nothing."""

    async def admit(
        self, rules: GateRules, *, core_ids: Sequence[int], tell: Callable[[str], Awaitable[None]]
    ) -> Admission:
        """Let it through at once."""
        del rules, core_ids, tell
        return Admission()


class ConditionGate:
    """The gate over what ``look`` sees, by its clock; ``look`` may block for some tens of milliseconds.

    ``counts_on``: what ran since the last block is told apart from ours, so that load may be counted from there.
    ``sleep`` takes seconds.
    """

    def __init__(
        self,
        look: Callable[[], Conditions],
        *,
        counts_on: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._look_now = look
        self._counts_on = counts_on
        self._sleep = sleep
        self._start_c: float | None = None
        self._last: Conditions | None = None

    async def begin(self) -> None:
        """Take the temperature at which the job begins."""
        self._last = await self._look()
        self._start_c = None if isinstance(self._last.temperature_c, str) else self._last.temperature_c

    async def admit(
        self, rules: GateRules, *, core_ids: Sequence[int], tell: Callable[[str], Awaitable[None]]
    ) -> Admission:
        """Wait until the rules hold, or for as long as waiting makes sense."""
        begun = now = await self._look()
        before = self._last
        if rules.most_other_load is not None and not (self._counts_on and _counts(before, now)):
            before = now
            await self._sleep(_YOUNGEST_S)
            now = await self._look()
        heat: list[tuple[float, float]] = []
        # A neighbour that comes while the device cools has its own minute.
        since_s: dict[str, float] = {}
        while True:
            seen = self._check(rules, before, now, heat, core_ids)
            waited_s = now.at_s - begun.at_s
            since_s = {one.reason: since_s.get(one.reason, now.at_s) for one in seen.findings}
            # What comes and goes by turns would never be over by itself.
            is_late = waited_s >= rules.longest_wait_s
            over = [one for one in seen.findings if is_late or now.at_s - since_s[one.reason] >= one.patience_s]
            if over or not seen.findings:
                break
            await tell(f"waiting: {'; '.join(one.sentence for one in seen.findings)}")
            await self._sleep(_LOOK_S)
            before, now = now, await self._look()
        self._last = now
        if not over and heat and Heat(start_c=self._start_c, looks=heat).has_settled():
            # What the device rests at by now: the next block need not wait for what will not come.
            self._start_c = max(self._start_c or heat[-1][1], heat[-1][1])
        return Admission(
            waited_ms=round(1000 * waited_s) if waited_s >= _LOOK_S else 0,
            not_looked_at=seen.not_looked_at,
            refusal=_refusal(over, waited_s) if over else "",
            reason=over[0].reason if over else "",
        )

    def _check(
        self,
        rules: GateRules,
        before: Conditions | None,
        now: Conditions,
        heat: list[tuple[float, float]],
        core_ids: Sequence[int],
    ) -> Checked:
        if not isinstance(now.temperature_c, str):
            heat.append((now.at_s, now.temperature_c))
        return check(rules, before, now, heat=Heat(start_c=self._start_c, looks=heat), core_ids=core_ids)

    async def _look(self) -> Conditions:
        # In a thread: a phone on a cable answers after tens of milliseconds, and the link must not hang meanwhile.
        return await asyncio.to_thread(self._look_now)


def _counts(before: Conditions | None, now: Conditions) -> bool:
    """Return whether load can be counted from an earlier look on."""
    if before is None or isinstance(before.processor, str) or isinstance(now.processor, str):
        # Where it cannot be read, waiting would not make it readable.
        return before is not None
    return _YOUNGEST_S <= now.at_s - before.at_s <= _OLDEST_S


def _refusal(over: Sequence[Finding], waited_s: float) -> str:
    waited = f" after {waited_s:.0f} s of waiting" if waited_s >= _LOOK_S else ""
    return f"not begun{waited}: {'; '.join(one.sentence for one in over)}; {_NEXT_STEP[over[0].reason]}"

"""What the firmware of a Raspberry Pi says about throttling.

Source: "get_throttled" under "vcgencmd" in the Raspberry Pi OS documentation. The flags since boot stay set: one that
was set before the block proves nothing, and hides that it happened again.
"""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.vcgencmd import Flags, read_flags
from steelyard_agent.surroundings.contract import Weighed

_FLAGS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
_SINCE_BOOT = 16


class PiFirmware:
    """The flags of ``get_throttled``; firmware that gives no answer when this is made is not asked again."""

    def __init__(self, system: System) -> None:
        self._system = system
        first = read_flags(system)
        self._refused = first if first.bits is None else None

    def look(self) -> Flags:
        """Ask for the flags; a subprocess."""
        return self._refused or read_flags(self._system)

    def weigh(self, before: Flags, after: Flags, latency_ns: Sequence[int]) -> Weighed:
        """Return the flags that stand now or came up during the block; none of them rules throttling out."""
        if before.bits is None or after.bits is None:
            return Weighed(not_looked_at=(before.reason or after.reason,))
        evidence, hidden = [], []
        seen = dict.fromkeys((f"{before.bits:#x}", f"{after.bits:#x}"))
        words = f"(get_throttled {', then '.join(seen)})"
        for bit, meaning in enumerate(_FLAGS):
            since_boot = 1 << (bit + _SINCE_BOOT)
            if (before.bits | after.bits) & (1 << bit):
                evidence.append(f"{meaning} at the time of the block {words}")
            elif after.bits & since_boot and not before.bits & since_boot:
                evidence.append(f"{meaning} during the block {words}")
            elif before.bits & since_boot:
                hidden.append(meaning)
        reasons = [f"{' and '.join(hidden)} since boot already, which hides whether again; restart the Pi"]
        return Weighed(
            evidence=tuple(evidence),
            not_looked_at=tuple(reasons if hidden else ()),
            rules_out=not evidence and not hidden,
        )


def flags_text(bits: int) -> str:
    """Return "throttled now; under-voltage and throttled since boot", "no flag since boot" for 0."""
    now = [meaning for bit, meaning in enumerate(_FLAGS) if bits & (1 << bit)]
    since_boot = [meaning for bit, meaning in enumerate(_FLAGS) if bits & (1 << (bit + _SINCE_BOOT))]
    told = [f"{' and '.join(words)} {when}" for words, when in ((now, "now"), (since_boot, "since boot")) if words]
    return "; ".join(told) or "no flag since boot"

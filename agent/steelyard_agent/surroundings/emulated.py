"""That a processor is emulated, beside every block: rounds outlive what the device says of itself later."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_agent.surroundings.contract import Circumstance

# The controller reads this name (steelyard/analysis/emulation.py).
EMULATED_BY = "emulated_by"


class EmulatedProcessor:
    """Tells what emulates the device ("qemu-user on x86_64"); nothing where ``emulated_by`` is ""."""

    def __init__(self, emulated_by: str) -> None:
        self._emulated_by = emulated_by

    def read(self) -> list[Circumstance]:
        """Return it; it does not change while an agent runs."""
        return [Circumstance(name=EMULATED_BY, value=self._emulated_by)] if self._emulated_by else []

    def objection(self, before: Sequence[Circumstance], after: Sequence[Circumstance]) -> str:
        """Object to nothing: outputs hold, and figures of time are left out by the controller."""
        del before, after
        return ""

"""What every switch does: on, off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from steelyard.errors import DeviceError


class PowerError(DeviceError):
    """The switch did not do what it was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSwitch:
    """A switch; ``turn`` blocks for seconds at most, and raises PowerError when the supply is not as it should be.

    ``require_usable`` raises UsageError ``bad_switch`` for what can be known to be missing without switching anything.
    """

    description: str
    turn: Callable[[bool], None]
    require_usable: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchKind:
    """A kind of switch, found by the beginning of an address."""

    scheme: str
    summary: str
    example: str
    # From the whole address; raises UsageError ``bad_switch``.
    make: Callable[[str], PowerSwitch]

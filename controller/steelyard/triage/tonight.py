"""What a night tells triage, and what triage makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from steelyard.nightly.night_findings import Finding
from steelyard.triage.alert import Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class NightStamp:
    """Which night of which suite, and the time at its end (with a time zone)."""

    suite: str
    number: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTrouble:
    """A device that is not what it was; ``sentence`` says how that is known."""

    device_id: str
    device: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesTonight:
    """Devices that were measured: those in trouble, and the ids of those whose sentinel is steady."""

    troubles: tuple[DeviceTrouble, ...] = ()
    steady_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TriagedNight:
    """What a night comes to.

    Attributes:
        alerts: Every alert that was open before, or begins now, as it is now; closed ones among them ended tonight.
        findings: The night's, with the outcomes that triage gives them (known, fixed, device) and their alerts' ids.
    """

    alerts: tuple[Alert, ...]
    findings: tuple[Finding, ...]

    @property
    def open_alerts(self) -> tuple[Alert, ...]:
        """Those that go on."""
        return tuple(one for one in self.alerts if one.is_open)

"""The document of a night: built once from what was recorded; every page, summary and exit code is a function of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from steelyard.nightly.night_findings import CauseGroup, EnvironmentDifference, Finding, Outcome

SCHEMA_VERSION = 1


class NightVerdict(Enum):
    """The first word of the report."""

    PASS = "PASS"  # noqa: S105 (no password)
    REGRESSED = "REGRESSED"
    INCOMPLETE = "INCOMPLETE"


class DeviceState(Enum):
    """How the night went on a device."""

    MEASURED = "measured"
    # Part of what was planned.
    PARTLY = "partly"
    OFFLINE = "offline"
    # The sentinel differs from past nights, or moved within the night: its models' changes are held back.
    DRIFTED = "drifted"
    THROTTLED = "throttled"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class NightHeader:
    """Which night. Times are UTC in ISO 8601; nights are counted by the controller, whatever clocks say."""

    suite: str
    suite_digest: str
    night_id: str
    night_number: int
    started_at: str
    ended_at: str
    controller: str
    steelyard_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """How many series of one metric had which outcome; outcomes that are left out were had by none."""

    metric: str
    counts: tuple[tuple[Outcome, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentChange:
    """What differs on a device since its last night."""

    device: str
    device_id: str
    difference: EnvironmentDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """A device's line.

    ``sentinel_change`` is relative to past nights (0.05: 5 % slower), None where it is not known.
    """

    device: str
    device_id: str
    state: DeviceState
    # One sentence: why this state, what the sentinel says.
    sentence: str
    sentinel_change: float | None = None
    # The end of the session against its start.
    sentinel_moved: float | None = None
    planned_count: int = 0
    measured_count: int = 0
    # How many changes of its models were held back because of the device itself.
    inhibited_count: int = 0
    device_minutes: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What was planned and not measured; ``metric`` is "" where no metric of the cell was."""

    model: str
    device: str
    runtime: str
    metric: str
    # For machines: offline, budget, removed_model, timeout, invalid, ...
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Cells (model, device, runtime) that were planned, and those measured; every gap with its reason."""

    planned_count: int
    measured_count: int
    gaps: tuple[Gap, ...] = ()

    def __post_init__(self) -> None:
        """Refuse more than all."""
        if not 0 <= self.measured_count <= self.planned_count:
            raise ValueError(f"{self.measured_count} of {self.planned_count} cells cannot be measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """An open alert that somebody knows of, or a silence that ends soon."""

    what: str
    who: str
    reason: str
    # UTC in ISO 8601; "" where it has no end.
    until: str
    alert_id: str = ""
    expires_soon: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedNotification:
    """A digest that did not arrive, of this night or of the one before."""

    channel: str
    night_number: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How the night was judged.

    ``false_alarm_count``: alerts of the suite that somebody closed as invalid; beside ``quiet_series_night_count``
    nights of series that were steady or not reproduced. None where there were none yet; ``sentences`` say so.
    """

    # Series of tonight that could be judged at all, each in both directions.
    hypothesis_count: int
    candidate_count: int
    confirmation_count: int
    confidence: float
    sentences: tuple[str, ...]
    # Name and version: steelyard, the agents, the runtimes.
    versions: tuple[tuple[str, str], ...] = ()
    false_alarm_count: int | None = None
    quiet_series_night_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReport:
    """All that a night says, in the order in which it is read."""

    header: NightHeader
    verdict: NightVerdict
    # One sentence behind the verdict's word.
    sentence: str
    exit_code: int
    matrix: tuple[MatrixRow, ...]
    regressions: tuple[CauseGroup, ...]
    suspected: tuple[Finding, ...]
    undecided: tuple[Finding, ...]
    not_reproduced: tuple[Finding, ...]
    improved: tuple[Finding, ...]
    fixed: tuple[Finding, ...]
    # Open regressions that somebody acknowledged: no news.
    known: tuple[Finding, ...]
    environment_changes: tuple[EnvironmentChange, ...]
    devices: tuple[DeviceHealth, ...]
    coverage: Coverage
    acknowledgements: tuple[Acknowledgement, ...]
    failed_notifications: tuple[FailedNotification, ...]
    method: Method
    # What was odd about the night as a whole: the first ever, a clock that went back, an edited suite.
    notes: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Refuse a verdict that the rest contradicts."""
        if (self.verdict is NightVerdict.REGRESSED) != bool(self.regressions):
            raise ValueError(f"{self.verdict.value} with {len(self.regressions)} groups of regressions")
        if self.verdict is NightVerdict.PASS and self.coverage.measured_count == 0:
            raise ValueError("a night that measured nothing is no pass")

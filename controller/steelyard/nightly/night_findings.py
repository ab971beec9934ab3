"""What a night found of one series, and the findings that have one likely cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What a night says of a series."""

    STEADY = "steady"
    # Worse (or less accurate, or another exact value), and a confirmation in the same night says so too.
    CONFIRMED = "confirmed"
    # Looks worse; there was no confirmation, and the finding's reason says why.
    SUSPECTED = "suspected"
    # A confirmation was run, and neither the change nor its absence came out of it.
    UNDECIDED = "undecided"
    NOT_REPRODUCED = "not_reproduced"
    IMPROVED = "improved"
    # An open regression that is gone.
    FIXED = "fixed"
    # Confirmed on an earlier night and acknowledged, silenced or accepted since: no news.
    KNOWN = "known"
    # Held back, because the device itself is not what it was: its line is among the devices.
    DEVICE = "device"
    # Measured, with too few nights before it to say anything.
    NOT_JUDGED = "not_judged"
    NOT_MEASURED = "not_measured"


class Cause(Enum):
    """What most likely changed."""

    MODEL = "model"
    RUNTIME = "runtime"
    BOARD = "board"
    ENVIRONMENT = "environment"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesName:
    """The series: a suite's model on a device under a runtime, and the metric; for people, and as a key."""

    model: str
    device_id: str
    device: str
    runtime: str
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Now over before, with its interval; above 1 is more (slower, larger, more accurate).

    ``unit`` is "ratio", or "pp" for accuracies, whose difference it then is. ``low`` and ``high`` are None where there
    is no interval, as for exact metrics.
    """

    value: float
    low: float | None
    high: float | None
    confidence: float
    unit: str = "ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDifference:
    """One entry of the environment that differs; None where it was not there (or not known) at all."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """The series' last nights, oldest first; None is a night without a value."""

    night_numbers: tuple[int, ...]
    values: tuple[float | None, ...]
    # Index of the first night of the new level, None where no change was located.
    change_index: int | None = None

    def __post_init__(self) -> None:
        """Refuse nights and values that do not match."""
        if len(self.night_numbers) != len(self.values):
            raise ValueError(f"{len(self.values)} values for {len(self.night_numbers)} nights make no sparkline")
        if self.change_index is not None and not 0 <= self.change_index < len(self.values):
            raise ValueError(f"a change at {self.change_index} lies outside of {len(self.values)} nights")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the night says of one series that is not steady.

    ``before`` and ``after`` are in ``unit``: from the confirmation where there was one, else from the nights (the
    median of those since the last accepted change, and this one's). ``text_before`` and ``text_after`` are the values
    of exact metrics that are no numbers (placement, output hash).
    ``reason`` is one sentence. ``reproduce`` is a command line.
    """

    series: SeriesName
    outcome: Outcome
    unit: str
    before: float | None
    after: float | None
    reason: str
    text_before: str = ""
    text_after: str = ""
    ratio: Ratio | None = None
    # Of the confirmation; 0 where none was run.
    round_count: int = 0
    first_bad_night: int | None = None
    first_bad_at: str = ""
    sparkline: Sparkline | None = None
    environment: tuple[EnvironmentDifference, ...] = ()
    reproduce: str = ""
    job_id: str = ""
    alert_id: str = ""
    # Of the early warning, one-sided, as computed: it ranks and is no error rate.
    p_value: float | None = None
    # What a confirmation could not put back (a firmware, a kernel), and therefore does not prove.
    limits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseGroup:
    """Findings with one likely cause; ``because`` is one sentence with the counts that speak for it."""

    cause: Cause
    title: str
    because: str
    findings: tuple[Finding, ...]
    # What changed, where something did.
    differences: tuple[EnvironmentDifference, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a group of nothing."""
        if not self.findings:
            raise ValueError(f"the group {self.title!r} holds no finding")

"""What a night's judgement of a series, a confirmation and a device comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from steelyard.series.series_key import SeriesKey


class Side(Enum):
    """Which way a series went."""

    WORSE = "worse"
    BETTER = "better"
    # An exact metric without a better direction.
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A series whose night looks different: something to confirm, not something to believe.

    ``before`` and ``after`` are in the metric's unit: the middle of the nights since the last accepted change, and
    tonight's value as it was measured. ``change`` is relative, after over before less 1, freed of what the device did
    where a sentinel says so (0.05: 5 % more); of accuracies it is a difference in the metric's unit; None where the
    values are texts. ``p_value`` is one-sided, over a window of the last ``window`` nights: it ranks and is no error
    rate; None for exact metrics and accuracies. ``text_before`` and ``text_after`` are those of exact metrics that are
    no numbers. ``reason`` is one sentence.
    """

    key: SeriesKey
    night: int
    side: Side
    reason: str
    before: float | None = None
    after: float | None = None
    change: float | None = None
    p_value: float | None = None
    window: int = 1
    text_before: str = ""
    text_after: str = ""


class NoCandidateCode(Enum):
    """Why there is nothing to confirm."""

    STEADY = "steady"
    # Too few nights since the first one, or since the last accepted change.
    NO_HISTORY = "no_history"
    NOT_MEASURED = "not_measured"
    # Tonight's value cannot be compared (0 where a ratio is asked for).
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCandidate:
    """A series with nothing to confirm tonight, and why, in one sentence."""

    key: SeriesKey
    code: NoCandidateCode
    reason: str


class ConfirmationKind(Enum):
    """How a confirmation ended."""

    CONFIRMED = "confirmed"
    NOT_REPRODUCED = "not_reproduced"
    UNDECIDED = "undecided"
    IMPROVED = "improved"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationOutcome:
    """What a confirmation shows: CONFIRMED is worse, IMPROVED better, whichever the candidate was.

    ``ratio`` is now over before with its interval at ``confidence`` (above 1 is more, whether good or bad), None where
    there is none; of accuracies it is the difference in percentage points, ``unit`` "pp". ``before`` and ``after`` are
    in the metric's unit. ``more_round_count`` would probably decide what is undecided, None where no practical number
    would.
    """

    kind: ConfirmationKind
    reason: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.99
    unit: str = "ratio"
    before: float | None = None
    after: float | None = None
    text_before: str = ""
    text_after: str = ""
    round_count: int = 0
    more_round_count: int | None = None
    p_value: float | None = None


class DeviceVerdictKind(Enum):
    """What the sentinel says of a device's night."""

    STEADY = "steady"
    # Another level than in past nights.
    DRIFTED = "drifted"
    # Its end differs from its start by more than it used to: heat, or something else that ran.
    MOVED = "moved"
    # No sentinel tonight, or too few past ones.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceVerdict:
    """A device's line of the night.

    ``change`` is the sentinel's level relative to past nights (0.05: 5 % slower), ``moved`` its end relative to its
    start, each None where it is not known. Where ``holds_back``, changes of the device's models are the device's until
    it is itself again. ``reason`` is one sentence.
    """

    device_id: str
    kind: DeviceVerdictKind
    reason: str
    change: float | None = None
    moved: float | None = None

    @property
    def holds_back(self) -> bool:
        """Whether candidates of the device's models are the device's own line, and no regression of theirs."""
        return self.kind in {DeviceVerdictKind.DRIFTED, DeviceVerdictKind.MOVED}

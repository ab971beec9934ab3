"""An alert: a finding that stays open over the nights until somebody or something closes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from enum import Enum

from steelyard.nightly.night_findings import Cause, Finding, SeriesName
from steelyard.triage.instants import require_instant

# Who changes an alert when no person does.
STEELYARD = "steelyard"
MAX_REASON_CHARACTERS = 1000


class AlertState(Enum):
    """Where an alert is. The order of the first five is that of a night; the others are what triage makes of it."""

    # Looks worse; not confirmed yet.
    SUSPECTED = "suspected"
    CONFIRMING = "confirming"
    # A confirmation in the same night says so too.
    CONFIRMED = "confirmed"
    NOT_REPRODUCED = "not_reproduced"
    UNDECIDED = "undecided"
    # Somebody knows of it; no news until it gets worse or the acknowledgement ends.
    ACKNOWLEDGED = "acknowledged"
    FIXED = "fixed"
    # The change is meant: the series' new baseline.
    ACCEPTED = "accepted"
    # It was no change; counts as a false alarm.
    INVALID = "invalid"
    # The network, the controller or the rack did it.
    INFRASTRUCTURE = "infrastructure"
    # The board did it.
    DEVICE = "device"


CLOSED_STATES = frozenset(
    {
        AlertState.NOT_REPRODUCED,
        AlertState.FIXED,
        AlertState.ACCEPTED,
        AlertState.INVALID,
        AlertState.INFRASTRUCTURE,
        AlertState.DEVICE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSubject:
    """What an alert is about: a series of a suite, or a device, whose model, runtime and metric are then ""."""

    suite: str
    device_id: str
    device: str
    model: str = ""
    runtime: str = ""
    metric: str = ""

    def __post_init__(self) -> None:
        """Refuse half a series."""
        if not (self.suite and self.device_id):
            raise ValueError(f"an alert names a suite and a device, not {self.suite!r} and {self.device_id!r}")
        if len({bool(self.model), bool(self.runtime), bool(self.metric)}) != 1:
            raise ValueError(f"{self.model!r}, {self.runtime!r}, {self.metric!r} name neither a series nor a device")

    @property
    def is_device(self) -> bool:
        """Whether it is about the device itself."""
        return not self.model

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What makes it this subject; a device's name may change, its id does not."""
        return (self.suite, self.model, self.device_id, self.runtime, self.metric)

    def __str__(self) -> str:
        """Return "mobilenet p50 on pi5 under onnxruntime" or "device pi5"."""
        name = self.device or self.device_id
        return f"device {name}" if self.is_device else f"{self.model} {self.metric} on {name} under {self.runtime}"


def subject_of(series: SeriesName, suite: str) -> AlertSubject:
    """Return the subject of a series' alerts."""
    return AlertSubject(
        suite=suite,
        device_id=series.device_id,
        device=series.device,
        model=series.model,
        runtime=series.runtime,
        metric=series.metric,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One change of an alert: when (UTC, ISO 8601), who, from which state to which, and why.

    ``from_state`` is None where the alert began. ``night_number`` is None for what people did between nights.
    """

    at: str
    who: str
    from_state: AlertState | None
    to_state: AlertState
    reason: str
    night_number: int | None = None

    def __post_init__(self) -> None:
        """Refuse a change by nobody, without a reason, or at no time."""
        require_instant(self.at)
        if not self.who.strip():
            raise ValueError("a change of an alert names who made it")
        if not self.reason.strip() or len(self.reason) > MAX_REASON_CHARACTERS:
            raise ValueError(f"a change of an alert says why, in 1 to {MAX_REASON_CHARACTERS} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What is wrong with one series or device, since when, and what was done about it.

    Attributes:
        alert_id: The same for the same subject and the night that opened it: a resumed night opens no second one.
        version: As the store counts it (0: not stored yet); a change is refused when the store's is another by then.
        first_night: The first night that was worse, ``first_at`` its time (UTC, ISO 8601, "" where it is not known).
        last_night: The last night that was worse.
        good_nights: How many nights in a row were measured and fine since, ``last_good_night`` the last of them.
        reason: One sentence: what is wrong, of the last night that was worse.
        evidence: What the last confirmation said (or the last night, before there was one); None for a device.
        acknowledged_until: UTC, ISO 8601; "" for no end. Only while it is acknowledged.
        baseline_night: The night from which an accepted change is the baseline.
        events: Oldest first, never empty.
    """

    alert_id: str
    subject: AlertSubject
    state: AlertState
    first_night: int
    last_night: int
    reason: str
    events: tuple[AlertEvent, ...]
    cause: Cause = Cause.UNKNOWN
    first_at: str = ""
    good_nights: int = 0
    last_good_night: int | None = None
    evidence: Finding | None = None
    acknowledged_until: str = ""
    baseline_night: int | None = None
    version: int = 0

    def __post_init__(self) -> None:
        """Refuse an alert that contradicts itself."""
        if not self.events or self.events[-1].to_state is not self.state:
            raise ValueError(f"alert {self.alert_id} is {self.state.value}, which its last event does not say")
        if self.first_night > self.last_night:
            raise ValueError(f"alert {self.alert_id} was first seen on night {self.first_night}, after its last one")
        if (self.baseline_night is not None) != (self.state is AlertState.ACCEPTED):
            raise ValueError(f"alert {self.alert_id}: a baseline night belongs to accepted changes, and to each")
        if self.acknowledged_until:
            require_instant(self.acknowledged_until)

    @property
    def is_open(self) -> bool:
        """Whether it still waits for something."""
        return self.state not in CLOSED_STATES

    @property
    def last_event(self) -> AlertEvent:
        """The newest change."""
        return self.events[-1]


def new_alert(
    subject: AlertSubject,
    *,
    state: AlertState,
    first_night: int,
    night_number: int,
    at: str,
    reason: str,
    first_at: str = "",
    cause: Cause = Cause.UNKNOWN,
    evidence: Finding | None = None,
) -> Alert:
    """Return the alert that a night opens; the picture of the series' nights is not kept with it."""
    why = reason[:MAX_REASON_CHARACTERS]
    event = AlertEvent(at=at, who=STEELYARD, from_state=None, to_state=state, reason=why, night_number=night_number)
    return Alert(
        alert_id=_alert_id(subject, night_number),
        subject=subject,
        state=state,
        first_night=first_night,
        last_night=night_number,
        first_at=first_at,
        reason=reason,
        events=(event,),
        cause=cause,
        evidence=kept_evidence(evidence),
    )


def before_night(alert: Alert, night_number: int) -> Alert | None:
    """Return an alert in the state that it had when a night began, None where that night opened it.

    So a night that is judged a second time, after it was interrupted, is judged as it was the first time.
    """
    index = next((place for place, event in enumerate(alert.events) if event.night_number == night_number), None)
    if index is None:
        return alert
    if index == 0:
        return None
    events = alert.events[:index]
    return dataclasses.replace(
        alert, state=events[-1].to_state, events=events, acknowledged_until="", baseline_night=None
    )


def kept_evidence(finding: Finding | None) -> Finding | None:
    """Return a finding as an alert keeps it."""
    return None if finding is None else dataclasses.replace(finding, sparkline=None)


def _alert_id(subject: AlertSubject, opening_night: int) -> str:
    named = json.dumps([*subject.key, opening_night], ensure_ascii=False)
    return hashlib.sha256(named.encode()).hexdigest()[:12]

"""What one night says to one alert after the other."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.triage.alert import (
    MAX_REASON_CHARACTERS,
    STEELYARD,
    Alert,
    AlertState,
    AlertSubject,
    kept_evidence,
    new_alert,
)
from steelyard.triage.instants import instant_text, parse_instant
from steelyard.triage.severity import is_worse_than
from steelyard.triage.tonight import DeviceTrouble, NightStamp
from steelyard.triage.transitions import moved, without_acknowledgement

# The outcomes that are worse, and the state that each opens an alert in.
OPENS = {
    Outcome.CONFIRMED: AlertState.CONFIRMED,
    Outcome.SUSPECTED: AlertState.SUSPECTED,
    Outcome.UNDECIDED: AlertState.UNDECIDED,
}
# Once confirmed, a later night without a confirmation does not take it back.
_STANDING = frozenset({AlertState.CONFIRMED, AlertState.ACKNOWLEDGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Carries single alerts over a night."""

    night: NightStamp
    nights_until_fixed: int

    @property
    def at(self) -> str:
        """The time of the night's events."""
        return instant_text(self.night.now)

    def woken(self, alert: Alert) -> Alert:
        """Return an alert whose acknowledgement is over as it was before, any other one as it is."""
        until = alert.acknowledged_until
        if not until or parse_instant(until) > self.night.now:
            return alert
        reason = f"the acknowledgement until {until} is over"
        return without_acknowledgement(alert, reason=reason, at=self.at, night_number=self.night.number)

    def opened(self, subject: AlertSubject, finding: Finding) -> Alert:
        """Return the alert that a worse series begins."""
        return new_alert(
            subject,
            state=OPENS[finding.outcome],
            first_night=min(finding.first_bad_night or self.night.number, self.night.number),
            first_at=finding.first_bad_at,
            night_number=self.night.number,
            at=self.at,
            reason=finding.reason,
            evidence=finding,
        )

    def seen(self, alert: Alert, finding: Finding) -> Alert:
        """Return an alert whose series is worse again, or still; one that somebody closed meanwhile stays as it is."""
        if not alert.is_open:
            return alert
        confirmed = finding.outcome is Outcome.CONFIRMED
        seen = self._bad(alert, finding.reason)
        if alert.state is AlertState.ACKNOWLEDGED:
            if not (confirmed and is_worse_than(finding, alert.evidence)):
                return seen
            seen = self._moved(seen, AlertState.CONFIRMED, f"worse than what was acknowledged: {finding.reason}")
        elif self._says_more(alert, OPENS[finding.outcome]):
            seen = self._moved(seen, OPENS[finding.outcome], finding.reason)
        if confirmed or alert.state not in _STANDING:
            seen = dataclasses.replace(seen, evidence=kept_evidence(finding))
        return seen

    def not_reproduced(self, alert: Alert, finding: Finding) -> Alert:
        """Return an alert whose series a confirmation found to be as it was."""
        if alert.is_open and alert.state not in _STANDING:
            return self._moved(alert, AlertState.NOT_REPRODUCED, finding.reason)
        return self.good(alert)

    def good(self, alert: Alert) -> Alert:
        """Return an alert after a night that was measured and fine."""
        if not alert.is_open or self.night.number <= max(alert.last_night, alert.last_good_night or 0):
            return alert
        nights = alert.good_nights + 1
        better = dataclasses.replace(alert, good_nights=nights, last_good_night=self.night.number)
        if nights < self.nights_until_fixed:
            return better
        words = f"{nights} good nights in a row" if nights > 1 else "a good night"
        if alert.state in _STANDING:
            return self._moved(better, AlertState.FIXED, f"as good as before: {words}")
        return self._moved(better, AlertState.NOT_REPRODUCED, f"not seen again: {words}")

    def troubled(self, subject: AlertSubject, alert: Alert | None, trouble: DeviceTrouble) -> Alert:
        """Return the alert of a device that is not what it was: the sentinel's verdict needs no confirmation."""
        if alert is None:
            alert = new_alert(
                subject,
                state=AlertState.CONFIRMED,
                first_night=self.night.number,
                first_at=self.at,
                night_number=self.night.number,
                at=self.at,
                reason=trouble.sentence,
            )
        return self._bad(alert, trouble.sentence)

    def _bad(self, alert: Alert, reason: str) -> Alert:
        last = max(alert.last_night, self.night.number)
        return dataclasses.replace(alert, last_night=last, good_nights=0, reason=reason)

    def _says_more(self, alert: Alert, to_state: AlertState) -> bool:
        if alert.state in _STANDING or alert.state is to_state:
            return False
        # Undecided is what a confirmation said: a night without one does not take it back.
        return not (alert.state is AlertState.UNDECIDED and to_state is AlertState.SUSPECTED)

    def _moved(self, alert: Alert, to_state: AlertState, reason: str) -> Alert:
        why = reason[:MAX_REASON_CHARACTERS]
        return moved(alert, to_state, who=STEELYARD, reason=why, at=self.at, night_number=self.night.number)

"""What people do with the alerts of a controller: find them, acknowledge, accept, close and silence."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from steelyard.errors import NotFoundError, SteelyardError, UsageError
from steelyard.nightly.alert_messages import alert_message, alert_of, silence_message, silence_of
from steelyard.triage.alert import Alert, AlertState
from steelyard.triage.instants import instant_text
from steelyard.triage.silence import Matcher, Silence, ended, parse_matcher
from steelyard.triage.transitions import accepted, acknowledged, closed
from steelyard_protocol.v1 import nightly_pb2

if TYPE_CHECKING:
    from steelyard.control.nightly_client import NightlyClient

# A night may change an alert while somebody types; it is read and changed again.
_TRIES = 3
# Of an id that is shortened, as the controller has it for alerts.
_LEAST_PREFIX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who does something, why, and when (with a time zone)."""

    who: str
    reason: str
    now: datetime

    @property
    def at(self) -> str:
        """The time as it is kept."""
        return instant_text(self.now)


class Triage:
    """Alerts and silences of one controller. Every method raises ``steelyard.SteelyardError``."""

    def __init__(self, nightly: NightlyClient) -> None:
        self._nightly = nightly

    # -- finding ------------------------------------------------------------------------------------------------

    def alert(self, alert_id: str) -> Alert:
        """Return an alert by its id, or by the first 4 or more characters of one."""
        return alert_of(self._nightly.alerts.get(alert_id))

    def alerts(self, suite: str = "", *, states: Sequence[AlertState] = (), open_only: bool = True) -> list[Alert]:
        """Return the alerts of a suite, of all for "", the newest first."""
        found = self._nightly.alerts.find(suite, states=[one.value for one in states], open_only=open_only)
        return [alert_of(one) for one in found]

    def chosen(self, texts: Sequence[str]) -> list[Alert]:
        """Return the alerts that ids name, or the open ones that all matchers fit ("model=mobilenet*").

        Raises:
            UsageError: ``ids_and_matchers``.
            NotFoundError: ``no_alert_fits``, ``alert_not_found``.
        """
        matchers = [text for text in texts if "=" in text]
        if not matchers:
            return [self.alert(text) for text in dict.fromkeys(texts)]
        if len(matchers) < len(texts):
            raise UsageError("ids_and_matchers", f"{' '.join(texts)} has ids and matchers: give either")
        wanted = [parse_matcher(text) for text in matchers]
        found = [one for one in self.alerts() if all(matcher.matches(one.subject) for matcher in wanted)]
        if not found:
            raise NotFoundError(
                "no_alert_fits", f"no open alert fits {' '.join(matchers)}; `steelyard alerts list` shows them"
            )
        return found

    # -- changing -----------------------------------------------------------------------------------------------

    def acknowledge(self, alert: Alert, person: Person, *, until: datetime | None = None) -> Alert:
        """Say that somebody knows of an alert: no news, until a time where one is given."""
        end = "" if until is None else instant_text(until)
        return self._changed(
            alert, lambda one: acknowledged(one, who=person.who, reason=person.reason, at=person.at, until=end)
        )

    def close(self, alert: Alert, state: AlertState, person: Person) -> Alert:
        """Close an alert as fixed, infrastructure, device or invalid."""
        return self._changed(alert, lambda one: closed(one, state, who=person.who, reason=person.reason, at=person.at))

    def accept(self, alert: Alert, person: Person) -> Alert:
        """Make an alert's change the new baseline of its series.

        Raises:
            NotFoundError: ``series_gone``.
        """
        # Refused before anything is asked: a device has no series.
        accepted(alert, who=person.who, reason=person.reason, at=person.at)
        series_ids = [one.series_id for one in self._nightly.series.find(_filter(alert))]
        if not series_ids:
            raise NotFoundError(
                "series_gone", f"the controller has no series of {alert.subject}: close the alert instead"
            )

        def keep(one: Alert) -> Alert:
            meant = accepted(one, who=person.who, reason=person.reason, at=person.at)
            response = self._nightly.alerts.accept(
                series_ids,
                night_number=meant.baseline_night or meant.first_night,
                who=person.who,
                reason=person.reason,
                alert=alert_message(meant),
            )
            return alert_of(response.alert)

        return self._kept(alert, keep)

    def _changed(self, alert: Alert, change: Callable[[Alert], Alert]) -> Alert:
        return self._kept(alert, lambda one: alert_of(self._nightly.alerts.change(alert_message(change(one)))))

    def _kept(self, alert: Alert, keep: Callable[[Alert], Alert]) -> Alert:
        """Change an alert and keep it; where somebody was faster, change it as it is then."""
        for left in reversed(range(_TRIES)):
            try:
                return keep(alert)
            except SteelyardError as error:  # noqa: PERF203  (a retry)
                if error.reason != "alert_changed" or not left:
                    raise
                alert = self.alert(alert.alert_id)
        raise AssertionError("the last try returns or raises")

    # -- silences -----------------------------------------------------------------------------------------------

    def silences(self, *, active_only: bool = True) -> list[Silence]:
        """Return the silences, the newest first."""
        return [silence_of(one) for one in self._nightly.alerts.silences(active_only=active_only)]

    def silence(self, matchers: Iterable[Matcher], person: Person, *, until: datetime) -> Silence:
        """Keep what fits all matchers quiet until a time."""
        made = Silence(
            silence_id=secrets.token_hex(6),
            matchers=tuple(matchers),
            created_at=person.at,
            created_by=person.who,
            expires_at=instant_text(until),
            reason=person.reason,
        )
        return silence_of(self._nightly.alerts.silence(silence_message(made)))

    def end_silence(self, text: str, person: Person) -> Silence:
        """End a silence that is named by its id, or by the first 4 or more characters of it.

        Raises:
            NotFoundError: ``silence_not_found``.
            UsageError: ``ambiguous_silence``; ``silence_is_over``.
        """
        over = ended(self._silence_named(text), who=person.who, reason=person.reason, now=person.now)
        self._nightly.alerts.end_silence(
            over.silence_id, who=person.who, reason=person.reason, json=silence_message(over).json
        )
        return over

    def _silence_named(self, text: str) -> Silence:
        fitting = [one for one in self.silences(active_only=False) if one.silence_id.startswith(text)]
        exact = [one for one in fitting if one.silence_id == text]
        found = exact or (fitting if len(text) >= _LEAST_PREFIX else [])
        if not found:
            raise NotFoundError(
                "silence_not_found", f"no silence has the id {text[:80]!r}; `steelyard alerts list` shows them"
            )
        if len(found) > 1:
            named = ", ".join(one.silence_id for one in found[:3])
            raise UsageError("ambiguous_silence", f"{text!r} begins several silences: {named}; give more of it")
        return found[0]


def _filter(alert: Alert) -> nightly_pb2.SeriesFilter:
    subject = alert.subject
    return nightly_pb2.SeriesFilter(
        suite_name=subject.suite,
        model=subject.model,
        device_id=subject.device_id,
        runtime=subject.runtime,
        metric=subject.metric,
    )

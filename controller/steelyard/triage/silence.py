"""Silences: series and devices that are no news for a while, with who said so, why, and until when."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from steelyard.spelling import meant
from steelyard.triage.alert import MAX_REASON_CHARACTERS, AlertSubject
from steelyard.triage.errors import TriageError
from steelyard.triage.instants import instant_text, parse_instant, require_instant

MATCHED = ("device", "metric", "model", "runtime", "suite")
_MATCHER = re.compile(r"(?P<name>[a-z_]+)=(?P<pattern>[^\s].*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """What one part of a subject must be like: a name and a pattern with ``*``, ``?`` and ``[...]``, case and all."""

    name: str
    pattern: str

    def __post_init__(self) -> None:
        """Refuse what no alert has.

        Raises:
            TriageError: ``bad_matcher``.
        """
        if self.name not in MATCHED:
            raise TriageError("bad_matcher", f"alerts are not matched by {self.name!r}; {meant(self.name, MATCHED)}")
        if not self.pattern:
            raise TriageError("bad_matcher", f"the pattern of {self.name} is empty: write {self.name}=* for any")

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.name}={self.pattern}"

    def matches(self, subject: AlertSubject) -> bool:
        """Say whether it fits; a device by its name or its id."""
        if self.name == "device":
            return any(fnmatchcase(one, self.pattern) for one in (subject.device, subject.device_id))
        # A device's own alert has no model: "model=*" is about models.
        value: str = getattr(subject, self.name)
        return bool(value) and fnmatchcase(value, self.pattern)


def parse_matcher(text: str) -> Matcher:
    """Read "model=mobilenet*".

    Raises:
        TriageError: ``bad_matcher``.
    """
    found = _MATCHER.fullmatch(text.strip())
    if found is None:
        raise TriageError("bad_matcher", f"{text!r} is no matcher such as model=mobilenet* or device=pi5")
    return Matcher(name=found["name"], pattern=found["pattern"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Subjects that every matcher fits are no news until ``expires_at``.

    Times are UTC in ISO 8601. ``ended_at``, ``ended_by`` and ``ended_because`` are "" unless somebody ended it before.
    ``version`` is the store's, as for alerts.
    """

    silence_id: str
    matchers: tuple[Matcher, ...]
    created_at: str
    created_by: str
    expires_at: str
    reason: str
    ended_at: str = ""
    ended_by: str = ""
    ended_because: str = ""
    version: int = 0

    def __post_init__(self) -> None:
        """Refuse a silence of everything, without an end, or without a reason.

        Raises:
            TriageError: ``bad_silence``.
        """
        for at in (self.created_at, self.expires_at, *filter(None, [self.ended_at])):
            require_instant(at)
        if all(not one.pattern.strip("*") for one in self.matchers):
            raise TriageError("bad_silence", "a silence of everything hides every regression: match something")
        if parse_instant(self.expires_at) <= parse_instant(self.created_at):
            raise TriageError("bad_silence", f"a silence that ends at {self.expires_at} is over before it begins")
        if not self.reason.strip() or len(self.reason) > MAX_REASON_CHARACTERS:
            raise TriageError("bad_silence", f"a silence says why, in 1 to {MAX_REASON_CHARACTERS} characters")
        if not self.created_by.strip():
            raise TriageError("bad_silence", "a silence names who made it")

    def __str__(self) -> str:
        """Return what it is about: "model=mobilenet* device=pi5"."""
        return " ".join(str(one) for one in self.matchers)

    def is_active(self, now: datetime) -> bool:
        """Say whether it holds at a time."""
        return not self.ended_at and parse_instant(self.created_at) <= now < parse_instant(self.expires_at)

    def matches(self, subject: AlertSubject) -> bool:
        """Say whether a subject is meant."""
        return all(one.matches(subject) for one in self.matchers)


def ended(silence: Silence, *, who: str, reason: str, now: datetime) -> Silence:
    """Return the silence as it is after somebody ended it.

    Raises:
        TriageError: ``silence_is_over``.
    """
    if not silence.is_active(now):
        raise TriageError("silence_is_over", f"silence {silence.silence_id} is over; there is nothing to end")
    return dataclasses.replace(silence, ended_at=instant_text(now), ended_by=who, ended_because=reason)


def silence_of(subject: AlertSubject, silences: tuple[Silence, ...], now: datetime) -> Silence | None:
    """Return the silence that holds for a subject, that which lasts longest; None when none does."""
    fitting = [one for one in silences if one.is_active(now) and one.matches(subject)]
    return max(fitting, key=lambda one: parse_instant(one.expires_at), default=None)

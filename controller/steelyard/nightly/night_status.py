"""How long ago a suite's last night was, and how it ended: by the controller's clock, whatever the caller's says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steelyard_protocol.v1 import nightly_pb2

_STATES = {
    nightly_pb2.NIGHT_STATE_RUNNING: "running",
    nightly_pb2.NIGHT_STATE_ENDED: "ended",
    nightly_pb2.NIGHT_STATE_ABANDONED: "abandoned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteStatus:
    """A suite's last nights; ages in seconds, None where there is no such night."""

    suite: str
    sentence: str
    is_late: bool
    age_s: float | None
    complete_age_s: float | None
    night_number: int | None = None
    verdict: str = ""
    running_night: int | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "suite": self.suite,
            "night_number": self.night_number,
            "verdict": self.verdict,
            "age_s": self.age_s,
            "complete_age_s": self.complete_age_s,
            "is_late": self.is_late,
            "running_night": self.running_night,
            "sentence": self.sentence,
        }


def statuses(
    latest: nightly_pb2.ListLatestNightsResponse, suite_name: str = "", *, max_age_s: float | None
) -> list[SuiteStatus]:
    """Return each suite's status; a suite that was asked for and has no night is there, and late."""
    found = [_status(one, latest.now.ToNanoseconds(), max_age_s) for one in latest.suites]
    if suite_name and not found:
        sentence = f"{suite_name}: it has no night yet"
        found.append(
            SuiteStatus(
                suite=suite_name, sentence=sentence, is_late=max_age_s is not None, age_s=None, complete_age_s=None
            )
        )
    return found


def _status(one: nightly_pb2.LatestNights, now_ns: int, max_age_s: float | None) -> SuiteStatus:
    age_s = _age_s(one.ended, now_ns) if one.HasField("ended") else None
    complete_age_s = _age_s(one.complete, now_ns) if one.HasField("complete") else None
    is_late = max_age_s is not None and (complete_age_s is None or complete_age_s > max_age_s)
    words = [_ended_words(one, age_s)]
    if is_late:
        last = (
            "there is no complete night"
            if complete_age_s is None
            else f"the last complete one ended {_ago(complete_age_s)}"
        )
        words.append(f"LATE: {last}")
    if one.HasField("running"):
        words.append(f"night {one.running.night_number} is running")
    return SuiteStatus(
        suite=one.suite_name,
        sentence=f"{one.suite_name}: {'; '.join(words)}",
        is_late=is_late,
        age_s=age_s,
        complete_age_s=complete_age_s,
        night_number=one.ended.night_number if one.HasField("ended") else None,
        verdict=one.ended.verdict,
        running_night=one.running.night_number if one.HasField("running") else None,
    )


def _age_s(night: nightly_pb2.Night, now_ns: int) -> float:
    """Return how long ago the controller closed a night; 0 where its clock went back since."""
    return max(0.0, (now_ns - night.closed_at.ToNanoseconds()) / 1e9)


def _ended_words(one: nightly_pb2.LatestNights, age_s: float | None) -> str:
    if age_s is None:
        return "no night has ended yet"
    return f"night {one.ended.night_number} {one.ended.verdict} {_ago(age_s)}"


def _ago(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days ago"


def night_document(night: nightly_pb2.Night) -> dict[str, Any]:
    """Return a night of a list as JSON-ready data."""
    return {
        "suite": night.suite_name,
        "night_number": night.night_number,
        "night_id": night.night_id,
        "state": _STATES.get(night.state, "unknown"),
        "started_at": night.started_at.ToJsonString(),
        "ended_at": night.ended_at.ToJsonString() if night.HasField("ended_at") else None,
        "verdict": night.verdict,
        "exit_code": night.exit_code if night.verdict else None,
        "runner": night.runner,
        "reason": night.reason,
    }


def night_words(night: nightly_pb2.Night) -> tuple[str, ...]:
    """Return a row of a list for people."""
    began = night.started_at.ToJsonString()[:16].replace("T", " ")
    took = ""
    if night.HasField("closed_at") and night.closed_at.ToNanoseconds():
        minutes = max(0.0, (night.closed_at.ToNanoseconds() - night.begun_at.ToNanoseconds()) / 60e9)
        took = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    result = night.verdict or _STATES.get(night.state, "unknown")
    return night.suite_name, str(night.night_number), began, took, result

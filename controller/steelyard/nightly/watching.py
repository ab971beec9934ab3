"""What of a night's suspicions leaves something to decide, and what is watched because it may be noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from steelyard.nightly.device_judgement import JudgedCandidate
from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.nightly.notes import ConfirmationNote
from steelyard.series.lasting import is_beyond_noise
from steelyard.triage.alert import Alert


def weighed(
    finding: Finding, one: JudgedCandidate, notes: Sequence[ConfirmationNote], *, is_unexplained: bool
) -> Finding:
    """Return a suspicion as watched where it may be noise; what is to be decided says who decides. Others as they are.

    Watched is what got worse though nothing that is known changed since the last good night, was measured a second time
    tonight, and is not beyond the noise of nights: in quiet series that is common
    (docs/decisions/0029-suspicions-that-last.md).

    Args:
        finding: Of the candidate, before triage.
        one: The candidate.
        notes: Of its confirmations.
        is_unexplained: Both nights' environments are known, and alike.
    """
    if finding.outcome is not Outcome.SUSPECTED or one.is_standing:
        return finding
    # Accuracies have no noise of nights, and no p-value.
    night_p = one.candidate.p_value
    was_seen_again = any(finding.series.metric in note.seen_again for note in notes)
    if is_unexplained and was_seen_again and night_p is not None and not is_beyond_noise(night_p, one.lasting_p):
        return replace(finding, outcome=Outcome.WATCHED, reason=f"{finding.reason}; watched until it lasts or is gone")
    if one.alert is None:
        return finding
    return replace(finding, reason=f"{finding.reason}; {_who_decides(one.alert)}")


def _who_decides(alert: Alert) -> str:
    """Return who decides on what nights suspect again and again: repeating is no proof (docs/decisions/0027)."""
    name = alert.alert_id
    return (
        f"suspected since night {alert.first_night}, and somebody must decide: `steelyard alerts ack {name}` where "
        f"it is looked into, `steelyard alerts accept {name}` where it is to stay"
    )

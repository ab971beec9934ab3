"""Two nights on one device take turns: the one that asked first, by the controller's clock, has its whole session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.nightly.notes import SESSION, Journal, SessionNote, SessionState

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard_protocol.v1 import nightly_pb2


def night_ahead(client: Client, night: nightly_pb2.Night, device_id: str, mine: SessionNote) -> str:
    """Return the night whose session on the device comes before ours, in words; "" when it is our turn.

    A night whose runner gave no sign of life for its hold is nobody's turn.
    """
    latest = client.nightly.latest()
    now_ns = latest.now.ToNanoseconds()
    for suite in latest.suites:
        other = suite.running
        is_held = other.runner and other.held_until.ToNanoseconds() > now_ns
        if not suite.HasField("running") or other.night_id == night.night_id or not is_held:
            continue
        theirs = Journal(client.nightly, other.night_id).get(SESSION, device_id, SessionNote)
        if theirs is not None and _is_ahead(theirs, other.night_id, mine, night.night_id):
            return f"night {other.night_number} of suite {other.suite_name}"
    return ""


def _is_ahead(theirs: SessionNote, their_night: str, mine: SessionNote, my_night: str) -> bool:
    if theirs.state is SessionState.DONE:
        return False
    if theirs.state is not mine.state:
        # Who waits does not push out who measures.
        return theirs.state is SessionState.RUNNING
    return (theirs.claimed_at, their_night) < (mine.claimed_at, my_night)

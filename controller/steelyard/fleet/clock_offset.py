"""How far a device's wall clock is off, from one message there and one back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """The device's wall clock less the controller's, above 0 when the device's is ahead.

    The truth lies within ``uncertainty_ns`` of it; None where nobody knows how long the message was under way.
    """

    offset_ns: int
    uncertainty_ns: int | None = None


def from_round_trip(*, device_ns: int, sent_ns: int, held_ns: int, heard_ns: int, now_ns: int) -> ClockOffset | None:
    """Return the offset that a heartbeat tells.

    The device read its clock at some moment within the round trip, which is what remains of the time between our
    message and its answer without the time that it held the message. So is NTP's (RFC 5905, section 8), with the
    uncertainty as a bound instead of an estimate.

    Args:
        device_ns: The device's wall clock when it answered.
        sent_ns: When the message that it heard last was sent, on the controller's monotonic clock.
        held_ns: How long the device had that message when it answered.
        heard_ns: When the answer was read, on the same clock as ``sent_ns``.
        now_ns: The controller's wall clock when the answer was read.

    Returns:
        None when the times cannot be so.
    """
    round_trip_ns = heard_ns - sent_ns - held_ns
    if held_ns < 0 or round_trip_ns < 0:
        return None
    half_ns = round_trip_ns // 2
    return ClockOffset(offset_ns=device_ns - now_ns + half_ns, uncertainty_ns=half_ns + 1)

"""When a certificate is to be renewed: by the controller's clock alone, as this device's may stand in 1970, or in 2040.

Apart from renewing itself, whose messages an agent does not hold in memory for the days until then.
"""

from __future__ import annotations

from steelyard_agent.enrollment.membership import Membership


def is_due(membership: Membership, *, device_now_s: float) -> bool:
    """Return whether two thirds of the certificate's life are over."""
    return device_now_s + membership.clock_offset_s >= membership.renew_at_s


def is_over(membership: Membership, *, device_now_s: float) -> bool:
    """Return whether the certificate has ended, as far as this device can know."""
    return device_now_s + membership.clock_offset_s >= membership.not_after_s


def due_in_s(membership: Membership, *, device_now_s: float) -> float:
    """Return the seconds until the certificate is to be renewed, 0 when it is time."""
    return max(0.0, membership.renew_at_s - device_now_s - membership.clock_offset_s)

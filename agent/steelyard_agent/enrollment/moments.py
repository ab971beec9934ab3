"""Times that a controller tells, as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard_agent.enrollment.errors import EnrollmentError

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp


def unix_s(moment: Timestamp) -> float:
    """Return the seconds since the epoch.

    Raises:
        EnrollmentError: ``bad_answer``: it is no time between the years 1 and 9999.
    """
    try:
        return moment.ToNanoseconds() / 1e9
    except ValueError as error:
        raise EnrollmentError("bad_answer", f"the controller's clock cannot be read: {error}") from error

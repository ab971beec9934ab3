"""What a controller says of its clock, taken or left."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.membership import Membership, membership_folder
from steelyard_agent.enrollment.moments import unix_s
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.link.access import EnrolledAccess
from steelyard_protocol.v1.session_pb2 import Welcome

CONTROLLER = "c0ffee" * 5 + "00"
ADDRESS = "10.0.0.1:7443"


def access(root: Path) -> EnrolledAccess:
    folder = membership_folder(root, CONTROLLER)
    folder.prepare()
    membership = Membership(
        controller_id=CONTROLLER,
        controller_name=f"{CONTROLLER}.steelyard",
        device_name="board",
        addresses=(ADDRESS,),
        enrollment_addresses=(),
        issued_at_s=0.0,
        not_after_s=1.0,
        clock_offset_s=3.0,
    )
    folder.keep(membership, certificate="-", authorities="-")
    return EnrolledAccess(folder, gate=QuietGate(), clock_s=lambda: 100.0)


def test_the_clocks_difference_is_heard_at_each_welcome(tmp_path: Path) -> None:
    mine = access(tmp_path)
    mine.welcomed(ADDRESS, Welcome(now=Timestamp(seconds=250)))
    assert (mine.membership.clock_offset_s, mine.membership.last_good_address) == (150.0, ADDRESS)
    mine.welcomed(ADDRESS, Welcome())
    assert mine.membership.clock_offset_s == 150.0


@pytest.mark.parametrize("seconds", [2**62, -(2**62)])
def test_a_time_that_is_none_is_left_and_ends_no_agent(
    tmp_path: Path, seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One controller of a device must not keep the others from it."""
    mine = access(tmp_path)
    with caplog.at_level(logging.WARNING):
        mine.welcomed(ADDRESS, Welcome(now=Timestamp(seconds=seconds)))
    assert "the controller's clock cannot be read" in caplog.text
    assert (mine.membership.clock_offset_s, mine.membership.last_good_address) == (3.0, ADDRESS)
    with pytest.raises(EnrollmentError) as caught:
        unix_s(Timestamp(seconds=seconds))
    assert caught.value.reason == "bad_answer"

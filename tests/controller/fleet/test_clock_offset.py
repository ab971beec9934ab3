"""The offset of a device's clock from one message there and one back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steelyard.fleet.clock_offset import from_round_trip

MS = 1_000_000
delays = st.integers(0, 5_000 * MS)


def offset_of(truth_ns: int, *, there_ns: int, held_ns: int, back_ns: int):
    """What a device whose clock is off by ``truth_ns`` makes the controller believe."""
    sent_ns, start_ns = 77 * MS, 1_790_000_000_000 * MS
    answered = there_ns + held_ns
    return from_round_trip(
        device_ns=start_ns + answered + truth_ns,
        sent_ns=sent_ns,
        held_ns=held_ns,
        heard_ns=sent_ns + answered + back_ns,
        now_ns=start_ns + answered + back_ns,
    )


@given(st.integers(-(2**61), 2**61), delays, st.integers(0, 10**12), delays)
def test_the_truth_lies_within_the_uncertainty_however_lopsided_the_way_is(
    truth_ns: int, there_ns: int, held_ns: int, back_ns: int
) -> None:
    found = offset_of(truth_ns, there_ns=there_ns, held_ns=held_ns, back_ns=back_ns)
    assert found is not None
    assert found.uncertainty_ns is not None
    assert abs(found.offset_ns - truth_ns) <= found.uncertainty_ns
    assert found.uncertainty_ns <= (there_ns + back_ns) // 2 + 1


def test_a_way_that_takes_as_long_back_as_there_tells_the_truth() -> None:
    found = offset_of(3_600_000 * MS, there_ns=20 * MS, held_ns=14_000 * MS, back_ns=20 * MS)
    assert found is not None
    assert (found.offset_ns, found.uncertainty_ns) == (3_600_000 * MS, 20 * MS + 1)


def test_a_device_that_held_the_message_longer_than_it_was_away_is_not_believed() -> None:
    assert from_round_trip(device_ns=0, sent_ns=0, held_ns=10, heard_ns=9, now_ns=0) is None
    assert from_round_trip(device_ns=0, sent_ns=0, held_ns=-1, heard_ns=9, now_ns=0) is None

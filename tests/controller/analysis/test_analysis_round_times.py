"""When and how long rounds ran, by clocks that may be wrong."""

from __future__ import annotations

import pytest

from steelyard.analysis.round_times import measured_between, round_time_ns
from steelyard_protocol.v1 import control_pb2, result_pb2

S = 1_000_000_000
DAY = 86_400 * S
NOW = 1_790_000_000 * S
YEAR_2040 = 70 * 31_557_600 * S


def ran(start_ns: int, end_ns: int, job_id: str = "job-0001") -> result_pb2.RoundResult:
    result = result_pb2.RoundResult(job_id=job_id)
    result.started_at.FromNanoseconds(start_ns)
    result.finished_at.FromNanoseconds(end_ns)
    return result


def job(*, finished: bool = True) -> control_pb2.Job:
    made = control_pb2.Job(job_id="job-0001")
    made.created_at.FromNanoseconds(NOW)
    if finished:
        made.finished_at.FromNanoseconds(NOW + 600 * S)
    return made


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "expected"),
    [(NOW, NOW + 14 * S, 14 * S), (5 * S, 19 * S, 14 * S), (5 * S, NOW, None), (NOW, 5 * S, None), (NOW, NOW, 0)],
)
def test_a_round_takes_as_long_as_its_clock_says_unless_that_was_set_meanwhile(
    start_ns: int, end_ns: int, expected: int | None
) -> None:
    assert round_time_ns(ran(start_ns, end_ns)) == expected


def test_a_clock_that_is_right_is_believed() -> None:
    rounds = [ran(NOW + 10 * S, NOW + 20 * S), ran(NOW + 20 * S, NOW + 30 * S)]
    assert measured_between(job(), rounds) == (NOW + 10 * S, NOW + 30 * S)


@pytest.mark.parametrize("start_ns", [0, YEAR_2040], ids=["1970", "2040"])
def test_the_jobs_own_times_stand_for_those_of_a_wrong_clock(start_ns: int) -> None:
    rounds = [ran(start_ns, start_ns + 10 * S)]
    assert measured_between(job(), rounds) == (NOW, NOW + 600 * S)


def test_a_job_that_still_runs_has_no_end_to_be_after() -> None:
    assert measured_between(job(finished=False), [ran(0, 10 * S)]) == (NOW, NOW)


def test_rounds_of_the_job_that_is_extended_are_as_old_as_they_say() -> None:
    rounds = [ran(NOW - 30 * DAY, NOW - 30 * DAY + S, "job-before"), ran(NOW + S, NOW + 2 * S)]
    assert measured_between(job(), rounds) == (NOW - 30 * DAY, NOW + 2 * S)


def test_a_record_that_does_not_say_when_it_was_submitted_is_taken_as_it_is() -> None:
    assert measured_between(control_pb2.Job(job_id="job-0001"), [ran(0, S)]) == (0, S)

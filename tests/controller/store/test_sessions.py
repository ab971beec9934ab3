"""What sessions left behind: by device, before a time, without some jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2
from tests.controller.store.messages import rising_clock

START_NS = 1_700_000_000_000_000_000
LATER_NS = 2 * START_NS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db", clock_ns=rising_clock(START_NS))
    yield made
    made.close()


def session(job_id: str, value_ns: float = 1e6, figure: str = "p50") -> control_pb2.PastSession:
    return control_pb2.PastSession(job_id=job_id, series="a" * 64, figure=figure, value_ns=value_ns)


def found(store: Store, device: str = "pi5", before_ns: int = LATER_NS, excluded: tuple[str, ...] = ()) -> list[str]:
    past = store.past_sessions(device, before_ns=before_ns, excluded_job_ids=excluded)
    return [f"{one.job_id} {one.figure} {one.value_ns:g}" for one in past]


def test_sessions_of_a_device_are_listed_oldest_first(store: Store) -> None:
    store.record_sessions("pi5", [session("one"), session("one", 2e6, "p90")])
    store.record_sessions("jetson", [session("two")])
    store.record_sessions("pi5", [session("three")])
    assert found(store) == ["one p50 1e+06", "one p90 2e+06", "three p50 1e+06"]
    assert found(store, "jetson") == ["two p50 1e+06"]
    assert found(store, "nobody") == []


def test_only_sessions_before_a_time_and_of_other_jobs_count(store: Store) -> None:
    for job_id in ("one", "two", "three"):
        store.record_sessions("pi5", [session(job_id)])
    assert found(store, excluded=("two",)) == ["one p50 1e+06", "three p50 1e+06"]
    assert found(store, before_ns=START_NS) == []


def test_a_session_that_is_recorded_again_is_not_there_twice(store: Store) -> None:
    store.record_sessions("pi5", [session("one", 1e6)])
    store.record_sessions("pi5", [session("one", 3e6)])
    assert found(store) == ["one p50 3e+06"]


def test_only_the_last_hundreds_are_kept_in_view(store: Store) -> None:
    store.record_sessions("pi5", [session(f"job-{index:04}") for index in range(900)])
    past = found(store)
    assert len(past) == 800
    assert past[0].startswith("job-0100")
    assert past[-1].startswith("job-0899")

"""Nights in a real database: numbered by it, gone on with, held by one runner, ended once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.errors import IncompleteError, NotFoundError, UsageError
from steelyard.store import night_items
from steelyard.store.store import Store
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.store.night_messages import SUITE, begin_request, end_request, run_night

NOW_NS = 1_790_000_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_path: Path, clock: Clock) -> Iterator[Store]:
    made = Store(database_path, clock_ns=clock)
    yield made
    made.close()


def test_nights_are_counted_on_for_each_suite_whatever_the_clock_says(store: Store, clock: Clock) -> None:
    numbers = []
    for shift_ns in (0, -(10**17), 10**17):
        clock.now_ns = NOW_NS + shift_ns
        numbers.append(run_night(store).night_number)
    assert numbers == [1, 2, 3]
    assert run_night(store, suite_name="another").night_number == 1


def test_a_night_that_is_not_over_is_gone_on_with(store: Store) -> None:
    first = store.nightly.nights.begin(begin_request("r1"))
    second = store.nightly.nights.begin(begin_request("r2"))
    assert (first.resumed, second.resumed) == (False, True)
    assert second.night.night_id == first.night.night_id
    assert second.night.suite_text == f'[suite]\nname = "{SUITE}"\n'


def test_the_same_request_again_is_the_same_night_also_when_it_is_over(store: Store) -> None:
    first = store.nightly.nights.begin(begin_request("r1"))
    assert store.nightly.nights.begin(begin_request("r1")) == first
    ended = store.nightly.nights.end(end_request(first.night.night_id))
    again = store.nightly.nights.begin(begin_request("r1"))
    assert (again.night.night_id, again.night.state) == (ended.night_id, nightly_pb2.NIGHT_STATE_ENDED)
    with pytest.raises(UsageError, match="began a night of suite 'shelf'") as caught:
        store.nightly.nights.begin(begin_request("r1", "another"))
    assert caught.value.reason == "request_id_reused"


def test_the_last_night_that_ended_comes_with_a_new_one(store: Store) -> None:
    assert not store.nightly.nights.begin(begin_request("r1")).HasField("previous")
    ended = store.nightly.nights.end(end_request(store.nightly.nights.begin(begin_request("r1")).night.night_id))
    abandoned = store.nightly.nights.begin(begin_request("r2")).night
    store.nightly.nights.abandon(abandoned.night_id, "the suite was wrong")
    third = store.nightly.nights.begin(begin_request("r3"))
    assert third.previous == ended
    assert third.night.night_number == 3


def test_another_runner_waits_until_the_first_one_let_go(store: Store, clock: Clock) -> None:
    nights = store.nightly.nights
    night = nights.begin(begin_request("r1", runner="host-a", hold_ms=60_000)).night
    with pytest.raises(IncompleteError, match=r"night 1 of suite 'shelf' is being run by host-a; .* 60 s") as caught:
        nights.begin(begin_request("r2", runner="host-b", hold_ms=60_000))
    assert caught.value.reason == "night_running"
    clock.now_ns += 50 * 10**9
    nights.renew(night.night_id, "host-a", 60_000)
    clock.now_ns += 50 * 10**9
    with pytest.raises(IncompleteError):
        nights.renew(night.night_id, "host-b", 60_000)
    assert nights.begin(begin_request("r3", runner="host-a", hold_ms=60_000)).resumed
    clock.now_ns += 61 * 10**9
    assert nights.begin(begin_request("r4", runner="host-b")).night.runner == "host-b"


def test_a_night_ends_once(store: Store) -> None:
    night_id = store.nightly.nights.begin(begin_request("r1")).night.night_id
    ended = store.nightly.nights.end(end_request(night_id, "REGRESSED", 1))
    assert (ended.verdict, ended.exit_code, ended.state) == ("REGRESSED", 1, nightly_pb2.NIGHT_STATE_ENDED)
    assert store.nightly.nights.end(end_request(night_id, "REGRESSED", 1)) == ended
    for end_again in (
        lambda: store.nightly.nights.end(end_request(night_id, "PASS", 0)),
        lambda: store.nightly.nights.abandon(night_id, "no"),
        lambda: store.nightly.nights.renew(night_id, "", 0),
    ):
        with pytest.raises(UsageError, match="night 1 of suite 'shelf' is over") as caught:
            end_again()
        assert caught.value.reason == "night_over"


def test_nights_are_found_by_id_and_by_number_and_the_last_that_ended_by_0(store: Store) -> None:
    nights = store.nightly.nights
    with pytest.raises(NotFoundError, match="suite 'shelf' has no nights") as no_suite:
        nights.get("", SUITE)
    assert no_suite.value.reason == "suite_not_found"
    first = run_night(store)
    running = nights.begin(begin_request("r9")).night
    assert nights.get(first.night_id).night_number == 1
    assert nights.get("", SUITE, 2).night_id == running.night_id
    assert nights.get("", SUITE).night_id == first.night_id
    with pytest.raises(NotFoundError, match="has no night 7; its last one is 2"):
        nights.get("", SUITE, 7)
    with pytest.raises(NotFoundError, match="near: 'shelf'"):
        nights.get("", "shelv", 1)
    with pytest.raises(NotFoundError, match="no night has the id 'nobody'"):
        nights.get("nobody")


def test_nights_are_listed_newest_first_in_pages(store: Store) -> None:
    for _ in range(3):
        run_night(store)
    run_night(store, suite_name="another")
    first, token = store.nightly.nights.page(SUITE, page_size=2)
    second, end = store.nightly.nights.page(SUITE, page_size=2, page_token=token)
    assert [night.night_number for night in (*first, *second)] == [3, 2, 1]
    assert (end, first[0].suite_text) == ("", "")
    assert len(store.nightly.nights.page()[0]) == 4


def test_the_latest_nights_say_what_ended_what_was_complete_and_what_runs(store: Store) -> None:
    run_night(store)
    run_night(store, verdict="INCOMPLETE")
    store.nightly.nights.begin(begin_request("r9"))
    run_night(store, suite_name="another")
    latest = store.nightly.nights.latest()
    assert latest.now.ToNanoseconds() == NOW_NS
    told = {one.suite_name: one for one in latest.suites}
    assert [told[SUITE].ended.night_number, told[SUITE].complete.night_number] == [2, 1]
    assert told[SUITE].running.night_number == 3
    assert not told["another"].HasField("running")
    assert [one.suite_name for one in store.nightly.nights.latest("another").suites] == ["another"]
    assert not store.nightly.nights.latest("nobody").suites


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"suite_name": ""}, "invalid_name"),
        ({"suite_digest": "abc"}, "invalid_digest"),
        ({"request_id": "a b"}, "invalid_identifier"),
        ({"suite_text": "x" * 500_001}, "invalid_text"),
        ({"suite_text": "a\0b"}, "invalid_text"),
        ({"hold_ms": 10**9}, "invalid_hold"),
        ({"runner": "x" * 201}, "invalid_text"),
    ],
)
def test_a_night_that_makes_no_sense_is_refused(store: Store, values: dict[str, object], reason: str) -> None:
    request = begin_request("r1")
    for name, value in values.items():
        setattr(request, name, value)
    with pytest.raises(UsageError) as caught:
        store.nightly.nights.begin(request)
    assert caught.value.reason == reason


def test_a_time_before_1970_or_after_2199_is_refused(store: Store) -> None:
    for seconds in (-1, 10**10, 2**62):
        request = begin_request("r1")
        request.started_at.seconds = seconds
        with pytest.raises(UsageError, match="start of a night") as caught:
            store.nightly.nights.begin(request)
        assert caught.value.reason == "invalid_time"


def test_a_note_is_replaced_by_one_of_its_key_and_keeps_its_place(store: Store) -> None:
    night_id = store.nightly.nights.begin(begin_request("r1")).night.night_id
    put = store.nightly.items.put
    for kind, key, text in (("cell", "a", "1"), ("cell", "b", "2"), ("candidate", "a", "3"), ("cell", "a", "[4]")):
        put(night_id, nightly_pb2.NightItem(kind=kind, key=key, json=text))
    cells, _ = store.nightly.items.page(night_id, "cell")
    assert [(one.key, one.json) for one in cells] == [("a", "[4]"), ("b", "2")]
    everything, token = store.nightly.items.page(night_id, page_size=2)
    rest, _ = store.nightly.items.page(night_id, page_size=2, page_token=token)
    assert [one.kind for one in (*everything, *rest)] == ["cell", "cell", "candidate"]


@pytest.mark.parametrize("text", ["", "{", "[" * 30_000, '"' + "x" * 70_000 + '"'])
def test_a_note_that_is_no_json_or_too_large_is_refused(store: Store, text: str) -> None:
    night_id = store.nightly.nights.begin(begin_request("r1")).night.night_id
    with pytest.raises(UsageError, match="the note cell 'a'") as caught:
        store.nightly.items.put(night_id, nightly_pb2.NightItem(kind="cell", key="a", json=text))
    assert caught.value.reason == "invalid_json"


def test_notes_of_nights_long_ago_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night_items, "KEPT_NIGHTS", 3)
    nights = []
    for index in range(5):
        night = store.nightly.nights.begin(begin_request(f"r{index}")).night
        store.nightly.items.put(night.night_id, nightly_pb2.NightItem(kind="cell", key="a", json="1"))
        nights.append(store.nightly.nights.end(end_request(night.night_id)))
    assert [len(store.nightly.items.page(night.night_id)[0]) for night in nights] == [0, 0, 1, 1, 1]

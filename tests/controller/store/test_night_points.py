"""Points in a real database: once for each series and night, and read back as histories."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.histories import _beginnings, _values
from steelyard.store.store import Store
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.store import messages
from tests.controller.store.night_messages import (
    DEVICE,
    SUITE,
    begin_request,
    point,
    record,
    run_night,
    series_key,
)

OF_SUITE = nightly_pb2.SeriesFilter(suite_name=SUITE)
FIRST_RELEASE = Path(__file__).with_name("first_revision.sql")


@pytest.fixture
def store(database_path: Path) -> Iterator[Store]:
    made = Store(database_path, clock_ns=messages.rising_clock())
    yield made
    made.close()


@pytest.fixture
def night_id(store: Store) -> str:
    return store.nightly.nights.begin(begin_request("r1")).night.night_id


def histories(store: Store, **asked: int) -> list[nightly_pb2.SeriesHistory]:
    found, token = store.nightly.series.page(nightly_pb2.ListHistoriesRequest(filter=OF_SUITE, **asked))  # type: ignore[arg-type]
    assert token == ""
    return found


def test_a_point_comes_back_whole(store: Store, night_id: str) -> None:
    store.create_job(messages.job(), b"", "r1")
    given = point(20.5, low=20.0, high=21.0, round_count=9, sentinel=5e6, job_id="job-0001", environment_index=1)
    environment = {"os": "Debian 12", "artifact": messages.digest_of("mobilenet")}
    assert record(store, night_id, [given], [environment]) == (1, 0)
    (found,), _ = store.nightly.points.of_night(night_id)
    assert (found.value, found.low, found.high, found.round_count) == (20.5, 20.0, 21.0, 9)
    assert (found.sentinel, found.job_id, found.night_number) == (5e6, "job-0001", 1)
    assert found.key == nightly_pb2.SeriesKey(suite_name=SUITE, **_fields(series_key()))
    assert store.nightly.series.environments([found.environment_id, 99]) == {found.environment_id: environment}
    (of_series,), _ = store.nightly.points.page(found.series_id)
    found.ClearField("key")
    assert of_series == found


def test_what_is_there_stays_but_a_value_takes_the_place_of_a_gap(store: Store, night_id: str) -> None:
    assert record(store, night_id, [point(20.0), point(metric="p95", gap_reason="offline")]) == (2, 0)
    assert record(store, night_id, [point(20.0), point(metric="p95", gap_reason="offline")]) == (0, 2)
    assert record(store, night_id, [point(30.0), point(31.0, metric="p95")]) == (1, 1)
    assert record(store, night_id, [point(gap_reason="budget"), point(metric="p95", gap_reason="budget")]) == (0, 2)
    found, _ = store.nightly.points.of_night(night_id)
    assert [(one.key.metric, one.value, one.gap_reason) for one in found] == [("p50", 20.0, ""), ("p95", 31.0, "")]


def test_of_two_points_of_a_series_in_one_call_the_first_value_counts(store: Store, night_id: str) -> None:
    assert record(store, night_id, [point(gap_reason="busy"), point(2.0), point(3.0)]) == (1, 2)
    (found,), _ = store.nightly.points.of_night(night_id)
    assert found.value == 2.0


def test_points_of_a_night_that_is_over_are_refused(store: Store) -> None:
    night = run_night(store)
    with pytest.raises(UsageError, match="is over"):
        record(store, night.night_id, [point(1.0)])


def _fields(key: nightly_pb2.SeriesKey) -> dict[str, str]:
    return {field.name: value for field, value in key.ListFields()}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (point(), "invalid_point"),
        (point(1.0, gap_reason="both"), "invalid_point"),
        (point(1.0, text="both"), "invalid_point"),
        (point(math.nan), "invalid_value"),
        (point(1.0, low=-math.inf), "invalid_value"),
        (point(1.0, environment_index=1), "invalid_point"),
        (point(1.0, round_count=2**32 - 1), "invalid_number"),
        (point(1.0, job_id="nobody"), "job_not_found"),
        (point(text="x" * 2001), "invalid_text"),
        (nightly_pb2.Point(key=nightly_pb2.SeriesKey(model="m"), value=1.0), "invalid_identifier"),
        (nightly_pb2.Point(key=nightly_pb2.SeriesKey(suite_name="another", **_fields(series_key()))), "invalid_point"),
    ],
)
def test_a_point_that_makes_no_sense_is_refused_and_none_of_its_call_is_kept(
    store: Store, night_id: str, given: nightly_pb2.Point, reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        record(store, night_id, [point(1.0, metric="p99"), given])
    assert caught.value.reason == reason
    assert store.nightly.points.of_night(night_id) == ([], "")
    assert store.nightly.series.series(OF_SUITE) == ([], "")


def test_a_call_of_too_many_points_is_refused(store: Store, night_id: str) -> None:
    with pytest.raises(UsageError, match="2001 points at once are more than 2000"):
        record(store, night_id, [point(1.0)] * 2001)


def test_an_environment_is_kept_once_whatever_its_order(store: Store) -> None:
    one, other = {"os": "Debian 12", "kernel": "6.6"}, {"kernel": "6.6", "os": "Debian 12"}
    run_night(store, [point(1.0, environment_index=1)], [one])
    run_night(store, [point(1.0, environment_index=1), point(2.0, metric="p95", environment_index=2)], [other, {}])
    p50, p95 = histories(store)
    assert len(set(p50.environment_ids)) == 1
    assert p95.environment_ids[0] not in {p50.environment_ids[0], 0}
    assert store.nightly.series.environments(list(p95.environment_ids)) == {p95.environment_ids[0]: {}}


def test_a_history_holds_the_last_values_oldest_first_without_the_gaps(store: Store) -> None:
    for night in range(1, 9):
        gap = point(gap_reason="offline") if night in {4, 5} else point(float(night), sentinel=night * 1e6)
        run_night(store, [gap, point(float(-night), metric="p95")])
    p50, p95 = histories(store, last_count=3, up_to_night=7)
    assert list(p50.night_numbers) == [3, 6, 7]
    assert list(p50.values) == [3.0, 6.0, 7.0]
    assert list(p50.sentinels) == [3e6, 6e6, 7e6]
    assert list(p95.values) == [-5.0, -6.0, -7.0]
    assert all(math.isnan(one) for one in p95.sentinels)
    assert list(p95.environment_ids) == [0, 0, 0]
    assert [list(one.night_numbers) for one in histories(store)] == [[1, 2, 3, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8]]


def test_a_series_of_gaps_alone_has_an_empty_history(store: Store) -> None:
    run_night(store, [point(gap_reason="offline")])
    (found,) = histories(store)
    assert (list(found.values), found.accepted_index) == ([], 0)


def test_values_that_are_texts_come_as_texts(store: Store) -> None:
    for text in ("cpu:12", "cpu:12", "cpu:10 gpu:2"):
        run_night(store, [point(metric="placement", text=text), point(1.0)])
    placement, p50 = histories(store)
    assert list(placement.texts) == ["cpu:12", "cpu:12", "cpu:10 gpu:2"]
    assert all(math.isnan(one) for one in placement.values)
    assert not p50.texts


def test_histories_come_in_pages_and_by_filter(store: Store) -> None:
    run_night(store, [point(1.0, metric=f"m{index}") for index in range(5)])
    run_night(store, [point(1.0, metric=f"m{index}") for index in range(2, 5)])
    run_night(store, [point(1.0)], suite_name="another")
    seen, token = [], ""
    while True:
        request = nightly_pb2.ListHistoriesRequest(filter=OF_SUITE, page_size=2, page_token=token)
        found, token = store.nightly.series.page(request)
        seen += [one.series.key.metric for one in found]
        if not token:
            break
    assert seen == ["m0", "m1", "m2", "m3", "m4"]
    alive = nightly_pb2.SeriesFilter(suite_name=SUITE, alive_since_night=2)
    assert [one.key.metric for one in store.nightly.series.series(alive)[0]] == ["m2", "m3", "m4"]
    by_metric = nightly_pb2.SeriesFilter(metric="m3", model="mobilenet", runtime="onnxruntime", device_id=DEVICE)
    assert [one.last_night for one in store.nightly.series.series(by_metric)[0]] == [2]


def test_long_histories_are_few_to_a_page(store: Store) -> None:
    run_night(store, [point(1.0, metric=f"m{index:02}") for index in range(60)])
    request = nightly_pb2.ListHistoriesRequest(filter=OF_SUITE, last_count=4000, page_size=500)
    found, token = store.nightly.series.page(request)
    assert (len(found), token) == (50, "50")
    request.last_count = 4001
    with pytest.raises(UsageError, match="4001 nights of each series are more than 4000"):
        store.nightly.series.page(request)


def test_a_series_knows_its_device_and_its_first_and_last_night(store: Store) -> None:
    run_night(store)
    store.put_device(messages.description(DEVICE), "0.1.0")
    run_night(store, [point(1.0)])
    run_night(store, [point(gap_reason="offline")])
    (found,), _ = store.nightly.series.series(OF_SUITE)
    assert (found.device_name, found.first_night, found.last_night) == ("pi5", 2, 3)


def test_points_of_one_series_come_newest_first_in_pages(store: Store) -> None:
    for night in range(1, 6):
        run_night(store, [point(float(night))])
    (series,), _ = store.nightly.series.series(OF_SUITE)
    first, token = store.nightly.points.page(series.series_id, page_size=2, up_to_night=4)
    second, end = store.nightly.points.page(series.series_id, page_size=2, up_to_night=4, page_token=token)
    assert ([one.value for one in (*first, *second)], end) == ([4.0, 3.0, 2.0, 1.0], "")
    with pytest.raises(NotFoundError, match="no series has the id 99"):
        store.nightly.points.page(99)


def test_points_of_a_night_come_in_pages_in_the_order_of_the_series(store: Store, night_id: str) -> None:
    record(store, night_id, [point(1.0, metric=f"m{index}") for index in range(5)])
    first, token = store.nightly.points.of_night(night_id, page_size=3)
    second, end = store.nightly.points.of_night(night_id, page_size=3, page_token=token)
    assert ([one.key.metric for one in (*first, *second)], end) == (["m0", "m1", "m2", "m3", "m4"], "")


def test_what_is_read_of_many_nights_is_found_by_key_and_never_by_a_scan(store: Store, database_path: Path) -> None:
    # With years of other nights in the way, a plan that reads them all takes minutes instead of milliseconds.
    run_night(store, [point(1.0)])
    said: list[str] = []
    with closing(sqlite3.connect(database_path)) as connection:
        for query in (_beginnings([1, 2], 9, 3), _values([1, 2], 4, 9)):
            text = query.compile(compile_kwargs={"literal_binds": True})
            said += [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]
    assert [line for line in said if "points" in line] == [
        "SEARCH points USING PRIMARY KEY (series_number=? AND night_number<?)",
        "SEARCH points USING PRIMARY KEY (series_number=? AND night_number>? AND night_number<?)",
    ]
    assert not [line for line in said if line.startswith("SCAN")]


def test_series_whose_values_begin_on_different_nights_come_together(store: Store) -> None:
    for night in range(1, 11):
        points = [point(float(night), metric="whole")]
        points += [point(float(night), metric="ended")] if night < 5 else []
        points += [point(float(night), metric="begun")] if night > 8 else []
        run_night(store, points)
    found = {one.series.key.metric: list(one.values) for one in histories(store, last_count=3)}
    assert found == {"whole": [8.0, 9.0, 10.0], "ended": [2.0, 3.0, 4.0], "begun": [9.0, 10.0]}


def test_a_night_lists_only_the_series_that_it_has_a_point_of(store: Store) -> None:
    ids = [run_night(store, [point(1.0, metric=metric)]).night_id for metric in ("a", "b", "a")]
    told = [[one.key.metric for one in store.nightly.points.of_night(one)[0]] for one in ids]
    assert told == [["a"], ["b"], ["a"]]


def test_a_database_of_the_first_release_keeps_nights(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_RELEASE.read_text())
    store = Store(path)
    try:
        run_night(store, [point(1.0, job_id="job-0001")])
        (found,) = histories(store)
        assert list(found.values) == [1.0]
    finally:
        store.close()

"""Alerts, silences, accepted changes and replaced devices in a real database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, nightly_pb2
from tests.controller.store.night_messages import DEVICE, SUITE, alert, begin_request, point, run_night

NOW_NS = 1_790_000_000_000_000_000
OF_SUITE = nightly_pb2.SeriesFilter(suite_name=SUITE)
OTHER_DEVICE = "e5f6a7b8"


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
    for device_id, name in ((DEVICE, "pi5-a"), (OTHER_DEVICE, "pi5-b")):
        made.put_device(common_pb2.DeviceDescription(device_id=device_id, name=name), "0.1.0")
    yield made
    made.close()


@pytest.fixture
def night_id(store: Store) -> str:
    return store.nightly.nights.begin(begin_request("r1")).night.night_id


def series_of(store: Store) -> list[nightly_pb2.Series]:
    return store.nightly.series.series(OF_SUITE)[0]


# -- alerts -----------------------------------------------------------------------------------------------------


def test_a_new_alert_has_version_1_and_the_same_again_changes_nothing(store: Store, night_id: str) -> None:
    (first,) = store.nightly.alerts.put(night_id, [alert()])
    assert (first.version, first.changed_by, first.changed_at.ToNanoseconds()) == (1, "ada", NOW_NS)
    assert store.nightly.alerts.put(night_id, [alert()]) == [first]
    assert store.nightly.alerts.get(first.alert_id) == first


def test_a_change_made_from_an_older_version_is_refused(store: Store, night_id: str) -> None:
    (first,) = store.nightly.alerts.put(night_id, [alert()])
    changed = store.nightly.alerts.change(alert(state="acknowledged", version=first.version, changed_by="bob"))
    assert (changed.version, changed.state, changed.changed_by) == (2, "acknowledged", "bob")
    assert store.nightly.alerts.change(alert(state="acknowledged", version=first.version)) == changed
    with pytest.raises(UsageError, match=r"was changed by bob meanwhile \(version 2, not 1\)") as caught:
        store.nightly.alerts.change(alert(state="fixed", version=first.version))
    assert caught.value.reason == "alert_changed"


def test_alerts_of_a_night_are_kept_all_or_none(store: Store, night_id: str) -> None:
    given = [alert(), alert("bad", suite_name="another")]
    with pytest.raises(UsageError, match="alert 'bad' is of suite 'another', the night of 'shelf'"):
        store.nightly.alerts.put(night_id, given)
    with pytest.raises(NotFoundError, match="no alert has the id 'nobody'"):
        store.nightly.alerts.put(night_id, [alert(), alert("nobody", version=3)])
    assert store.nightly.alerts.page(nightly_pb2.ListAlertsRequest())[0] == []


def test_alerts_are_listed_by_what_they_are_about(store: Store, night_id: str) -> None:
    given = [alert("a001"), alert("a002", model="resnet"), alert("a003", state="fixed", open=False)]
    store.nightly.alerts.put(night_id, given)

    def ids(**asked: object) -> list[str]:
        return [one.alert_id for one in store.nightly.alerts.page(nightly_pb2.ListAlertsRequest(**asked))[0]]  # type: ignore[arg-type]

    assert ids() == ["a003", "a002", "a001"]
    assert ids(open_only=True) == ["a002", "a001"]
    assert ids(model="mobilenet", open_only=True) == ["a001"]
    assert ids(states=["fixed", "accepted"]) == ["a003"]
    assert ids(suite_name="another") == ids(device_id="nobody") == []
    assert ids(page_size=1, page_token="3") == ["a002"]


def test_the_beginning_of_an_id_is_enough(store: Store, night_id: str) -> None:
    store.nightly.alerts.put(night_id, [alert("a1b2c3"), alert("a1b2d4")])
    assert store.nightly.alerts.get("a1b2c").alert_id == "a1b2c3"
    with pytest.raises(UsageError, match="begins several alerts: a1b2c3, a1b2d4"):
        store.nightly.alerts.get("a1b2")
    with pytest.raises(NotFoundError, match="no alert has the id 'a1b'"):
        store.nightly.alerts.get("a1b")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"json": "{"}, "invalid_json"),
        ({"model": "x" * 201}, "invalid_text"),
        ({"suite_name": ""}, "invalid_name"),
        ({"first_night": 2**32 - 1}, "invalid_number"),
    ],
)
def test_an_alert_that_makes_no_sense_is_refused(store: Store, values: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        store.nightly.alerts.change(alert(**values))  # type: ignore[arg-type]
    assert caught.value.reason == reason


# -- accepted changes -------------------------------------------------------------------------------------------


def accept_request(series_ids: list[int], night_number: int, **values: object) -> nightly_pb2.AcceptChangeRequest:
    return nightly_pb2.AcceptChangeRequest(
        series_ids=series_ids,
        night_number=night_number,
        who="ada",
        reason="the new runtime is meant",
        **values,  # type: ignore[arg-type]
    )


def test_an_accepted_change_begins_the_history_anew_and_is_marked_once(store: Store) -> None:
    for night in range(1, 6):
        run_night(store, [point(float(night))])
    (series,) = series_of(store)
    for _ in range(2):
        response = store.nightly.alerts.accept(accept_request([series.series_id], 3))
    (accepted,) = response.series
    (mark,) = accepted.marks
    assert (accepted.accepted_night, mark.kind, mark.night_number, mark.who) == (3, "accepted", 3, "ada")
    assert (mark.message, mark.at.ToNanoseconds()) == ("the new runtime is meant", NOW_NS)

    def index(**asked: int) -> int:
        request = nightly_pb2.ListHistoriesRequest(filter=OF_SUITE, **asked)  # type: ignore[arg-type]
        return store.nightly.series.page(request)[0][0].accepted_index

    assert (index(), index(last_count=2), index(up_to_night=2)) == (2, 0, 2)


def test_an_accepted_change_and_its_alert_are_kept_together_or_not_at_all(store: Store) -> None:
    night = run_night(store, [point(1.0)])
    (series,), (kept,) = series_of(store), store.nightly.alerts.put(night.night_id, [alert()])
    stale = alert(state="accepted", open=False, version=7)
    with pytest.raises(UsageError, match="was changed by ada meanwhile"):
        store.nightly.alerts.accept(accept_request([series.series_id], 1, alert=stale))
    assert series_of(store)[0].accepted_night == 0
    stale.version = kept.version
    response = store.nightly.alerts.accept(accept_request([series.series_id], 1, alert=stale))
    assert (response.alert.state, response.alert.version, response.series[0].accepted_night) == ("accepted", 2, 1)


def test_a_change_of_a_series_that_nobody_knows_is_not_accepted(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no series has the id 5"):
        store.nightly.alerts.accept(accept_request([5], 1))
    with pytest.raises(UsageError, match="name 1 to 1000 series"):
        store.nightly.alerts.accept(accept_request([], 1))
    with pytest.raises(UsageError, match="first night of the new level: 0"):
        store.nightly.alerts.accept(accept_request([5], 0))


# -- replaced devices -------------------------------------------------------------------------------------------


def test_the_series_of_a_replaced_device_go_on_under_the_new_one_with_the_night_marked(store: Store) -> None:
    run_night(store, [point(1.0), point(5.0, metric="p95")])
    store.fleet.rules.replace(DEVICE, OTHER_DEVICE)
    store.fleet.rules.replace(DEVICE, OTHER_DEVICE)
    run_night(store, [point(2.0, device_id=OTHER_DEVICE)])
    p50, _ = store.nightly.series.page(nightly_pb2.ListHistoriesRequest(filter=OF_SUITE))[0]
    assert list(p50.values) == [1.0, 2.0]
    assert (p50.series.key.device_id, p50.series.device_name) == (OTHER_DEVICE, "pi5-b")
    (mark,) = p50.series.marks
    assert (mark.night_number, mark.kind) == (2, "device_replaced")
    assert mark.message == "pi5-b (e5f6a7b8) took the place of pi5-a (d1e2f3a4)"


def test_a_series_that_the_new_device_has_of_its_own_goes_on_by_itself(store: Store) -> None:
    run_night(store, [point(1.0), point(7.0, device_id=OTHER_DEVICE)])
    store.nightly.nights.begin(begin_request("r9"))
    store.fleet.rules.replace(DEVICE, OTHER_DEVICE)
    old, new = series_of(store)
    assert (old.key.device_id, list(old.marks)) == (DEVICE, [])
    # The night that runs is the first that the mark can be of.
    assert (new.key.device_id, [one.night_number for one in new.marks]) == (OTHER_DEVICE, [2])


def test_open_alerts_go_on_with_the_series_of_a_replaced_device(store: Store) -> None:
    night = run_night(store, [point(1.0), point(7.0, metric="p95"), point(7.0, metric="p95", device_id=OTHER_DEVICE)])
    document = json.dumps(
        {
            "subject": {"device_id": DEVICE, "device": "pi5-a", "model": "mobilenet"},
            "evidence": {"series": {"device_id": DEVICE, "device": "pi5-a"}, "reason": f"on {DEVICE}"},
        }
    )
    of_series = {"runtime": "onnxruntime", "metric": "p50", "json": document}
    store.nightly.alerts.put(
        night.night_id,
        [
            alert("0000aaaa", **of_series),
            alert("1111aaaa", **{**of_series, "metric": "p95"}),
            alert("2222aaaa", model="", json='"another tool\'s"'),
            alert("3333aaaa", state="fixed", open=False, **of_series),
        ],
    )
    store.fleet.rules.replace(DEVICE, OTHER_DEVICE)
    found = {one[:4]: store.nightly.alerts.get(one) for one in ("0000aaaa", "1111aaaa", "2222aaaa", "3333aaaa")}
    # The p95 of the other device is a series of its own; what is closed is history.
    moved = {name: (one.device_id, one.version) for name, one in found.items()}
    assert moved == {
        "0000": (OTHER_DEVICE, 2),
        "1111": (DEVICE, 1),
        "2222": (OTHER_DEVICE, 2),
        "3333": (DEVICE, 1),
    }
    assert json.loads(found["0000"].json) == {
        "subject": {"device_id": OTHER_DEVICE, "device": "pi5-b", "model": "mobilenet"},
        "evidence": {"series": {"device_id": OTHER_DEVICE, "device": "pi5-b"}, "reason": f"on {DEVICE}"},
    }


# -- silences ---------------------------------------------------------------------------------------------------


def silence(silence_id: str = "s1", *, hours: int = 24, **values: object) -> nightly_pb2.Silence:
    made = nightly_pb2.Silence(silence_id=silence_id, json='{"matchers": []}', created_by="ada", **values)  # type: ignore[arg-type]
    made.expires_at.FromNanoseconds(NOW_NS + hours * 3600 * 10**9)
    return made


def test_a_silence_holds_until_it_expires_or_is_ended(store: Store, clock: Clock) -> None:
    for one in (silence("s1", hours=1), silence("s2"), silence("s3")):
        store.nightly.silences.create(one)
    ended = store.nightly.silences.end("s3", "bob", "fixed", '{"ended": true}')
    assert (ended.ended_by, ended.ended_because, ended.version, ended.json) == ("bob", "fixed", 2, '{"ended": true}')
    clock.now_ns += 2 * 3600 * 10**9
    assert store.nightly.silences.end("s3", "eve", "again") == ended
    assert [one.silence_id for one in store.nightly.silences.page(active_only=True)[0]] == ["s2"]
    assert [one.silence_id for one in store.nightly.silences.page(active_only=False)[0]] == ["s3", "s2", "s1"]


def test_the_same_silence_again_is_the_one_that_is_there(store: Store) -> None:
    first = store.nightly.silences.create(silence())
    assert store.nightly.silences.create(silence()) == first
    with pytest.raises(UsageError, match="silence 's1' is another one"):
        store.nightly.silences.create(silence(hours=48))
    with pytest.raises(NotFoundError, match="no silence has the id 'nobody'"):
        store.nightly.silences.end("nobody", "ada", "")

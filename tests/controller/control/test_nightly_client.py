"""Nights over a real socket: what the Python API keeps comes back, in as many calls as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

import grpc
import pytest

from steelyard.control import series_client
from steelyard.control.client import Client
from steelyard.control.controller import Controller
from steelyard.errors import IncompleteError, NotFoundError, UsageError
from steelyard.store.references import find_referenced
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.store.messages import digest_of
from tests.controller.store.night_messages import SUITE, alert, point, series_key

_T = TypeVar("_T")
AT = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
OF_SUITE = nightly_pb2.SeriesFilter(suite_name=SUITE)


class Caller:
    """Runs what uses a client in one thread of its own, beside the controller's loop."""

    def __init__(self, address: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._client = Client(grpc.insecure_channel(address))

    async def __call__(self, use: Callable[[Client], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, use, self._client)

    async def close(self) -> None:
        await self(Client.close)
        self._thread.shutdown()


@pytest.fixture
async def ask(controller: Controller) -> AsyncIterator[Caller]:
    caller = Caller(f"unix:{controller.socket_path}")
    yield caller
    await caller.close()


async def begin(ask: Caller, **values: object) -> nightly_pb2.BeginNightResponse:
    return await ask(
        lambda client: client.nightly.begin(
            SUITE,
            suite_digest=digest_of(SUITE),
            suite_text="[suite]\n",
            started_at=AT,
            **values,  # type: ignore[arg-type]
        )
    )


async def test_a_night_is_run_from_its_beginning_to_its_report(ask: Caller) -> None:
    night_id = (await begin(ask, runner="host-a", hold_s=60)).night.night_id
    given = [point(20.0, environment_index=2), point(metric="p95", gap_reason="offline", environment_index=1)]
    environments = [{"os": "Debian 12"}, {"os": "Debian 13"}]
    assert await ask(lambda client: client.nightly.series.record(night_id, given, environments)) == 2
    found = await ask(lambda client: list(client.nightly.series.night_points(night_id)))
    kept = await ask(lambda client: client.nightly.series.environments([one.environment_id for one in found]))
    assert [kept[one.environment_id]["os"] for one in found] == ["Debian 13", "Debian 12"]
    (history, _) = await ask(lambda client: list(client.nightly.series.histories(OF_SUITE, last=31)))
    assert list(history.values) == [20.0]
    (one,) = await ask(lambda client: client.nightly.series.points(history.series.series_id))
    assert one.value == 20.0
    assert len(await ask(lambda client: client.nightly.series.find(OF_SUITE))) == 2
    ended = await ask(
        lambda client: client.nightly.end(night_id, verdict="PASS", exit_code=0, report=b'{"a": 1}', ended_at=AT)
    )
    assert await ask(lambda client: client.nightly.report(ended)) == b'{"a": 1}'
    assert (await ask(lambda client: client.nightly.night(night_id))).verdict == "PASS"
    assert (await ask(lambda client: client.nightly.night_of(SUITE))).night_id == night_id
    assert [one.verdict for one in await ask(lambda client: client.nightly.nights(SUITE))] == ["PASS"]
    (latest,) = (await ask(lambda client: client.nightly.latest())).suites
    assert latest.complete.night_id == night_id


async def test_another_runner_is_told_who_runs_the_night(ask: Caller) -> None:
    night = (await begin(ask, runner="host-a", hold_s=60)).night
    with pytest.raises(IncompleteError, match="is being run by host-a") as caught:
        await begin(ask, runner="host-b", hold_s=60)
    assert caught.value.reason == "night_running"
    renewed = await ask(lambda client: client.nightly.renew(night.night_id, "host-a", 0))
    assert not renewed.HasField("held_until")
    assert (await begin(ask, runner="host-b")).resumed


async def test_a_night_does_not_end_with_a_report_that_was_not_uploaded(ask: Caller, controller: Controller) -> None:
    night = (await begin(ask)).night
    with pytest.raises(NotFoundError, match="night 1 of suite shelf has no report"):
        await ask(lambda client: client.nightly.report(night))
    async with grpc.aio.insecure_channel(f"unix:{controller.socket_path}") as channel:
        end = channel.unary_unary(
            "/steelyard_protocol.v1.NightlyService/EndNight",
            request_serializer=nightly_pb2.EndNightRequest.SerializeToString,
            response_deserializer=nightly_pb2.EndNightResponse.FromString,
        )
        with pytest.raises(grpc.aio.AioRpcError, match="was not uploaded"):
            await end(nightly_pb2.EndNightRequest(night_id=night.night_id, report_digest=digest_of("nothing")))
    abandoned = await ask(lambda client: client.nightly.abandon(night.night_id, "the suite was wrong"))
    assert abandoned.state == nightly_pb2.NIGHT_STATE_ABANDONED


async def test_many_points_travel_in_several_calls_each_with_its_environments(
    ask: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_client, "_POINTS_AT_ONCE", 7)
    night_id = (await begin(ask)).night.night_id
    given = [point(float(index), metric=f"m{index:02}", environment_index=index % 3 + 1) for index in range(30)]
    environments = [{"kernel": str(index)} for index in range(3)]
    assert await ask(lambda client: client.nightly.series.record(night_id, given, environments)) == 30
    assert await ask(lambda client: client.nightly.series.record(night_id, given, environments)) == 0
    found = await ask(lambda client: list(client.nightly.series.histories(OF_SUITE)))
    kept = await ask(lambda client: client.nightly.series.environments([one.environment_ids[0] for one in found]))
    assert [kept[one.environment_ids[0]]["kernel"] for one in found] == [str(index % 3) for index in range(30)]


async def test_notes_come_back_by_kind_in_their_order(ask: Caller) -> None:
    night_id = (await begin(ask)).night.night_id
    for key in ("b", "a"):
        await ask(lambda client, key=key: client.nightly.put_item(night_id, "cell", key, {"é": [key]}))  # type: ignore[misc]
    assert list((await ask(lambda client: client.nightly.items(night_id, "cell"))).items()) == [
        ("b", {"é": ["b"]}),
        ("a", {"é": ["a"]}),
    ]
    assert await ask(lambda client: client.nightly.items(night_id, "candidate")) == {}


async def test_alerts_are_put_changed_accepted_and_found(ask: Caller) -> None:
    night_id = (await begin(ask)).night.night_id
    await ask(lambda client: client.nightly.series.record(night_id, [point(1.0)]))
    # More than one call may hold.
    given = [alert(f"alert-{index:02}", json=f'"{"x" * 60_000}"') for index in range(12)]
    kept = await ask(lambda client: client.nightly.alerts.put(night_id, given))
    assert [one.alert_id for one in kept] == [one.alert_id for one in given]
    first = await ask(lambda client: client.nightly.alerts.get("alert-00"))
    first.state = "acknowledged"
    changed = await ask(lambda client: client.nightly.alerts.change(first))
    with pytest.raises(UsageError) as caught:
        await ask(lambda client: client.nightly.alerts.change(alert("alert-00", version=1)))
    assert (changed.version, caught.value.reason) == (2, "alert_changed")
    changed.state, changed.open = "accepted", False
    accepted = await ask(
        lambda client: client.nightly.alerts.accept([1], night_number=1, who="ada", reason="meant", alert=changed)
    )
    assert (accepted.alert.state, accepted.series[0].accepted_night) == ("accepted", 1)
    open_ones = await ask(lambda client: client.nightly.alerts.find(SUITE, open_only=True, most=3))
    assert [one.alert_id for one in open_ones] == ["alert-11", "alert-10", "alert-09"]


async def test_more_alerts_than_a_message_may_hold_are_put_in_several(ask: Caller) -> None:
    night_id = (await begin(ask)).night.night_id
    given = [alert(f"{number:012x}", json="{}") for number in range(1_050)]
    kept = await ask(lambda client: client.nightly.alerts.put(night_id, given))
    assert [one.alert_id for one in kept] == [one.alert_id for one in given]


async def test_silences_are_made_listed_and_ended(ask: Caller) -> None:
    silence = nightly_pb2.Silence(silence_id="s1", json="{}", created_by="ada")
    silence.expires_at.FromDatetime(datetime(2100, 1, 1, tzinfo=UTC))
    await ask(lambda client: client.nightly.alerts.silence(silence))
    assert len(await ask(lambda client: client.nightly.alerts.silences(active_only=True))) == 1
    ended = await ask(lambda client: client.nightly.alerts.end_silence("s1", who="bob", reason="fixed"))
    assert ended.ended_by == "bob"
    assert not await ask(lambda client: client.nightly.alerts.silences(active_only=True))


async def test_a_report_and_what_an_environment_names_outlive_the_collection_of_garbage(
    ask: Caller, controller: Controller
) -> None:
    night_id = (await begin(ask)).night.night_id
    named = controller.blobs.put_bytes(b"a model")
    unnamed = controller.blobs.put_bytes(b"nobody's")
    points = [nightly_pb2.Point(key=series_key(), value=1.0, environment_index=1)]
    await ask(lambda client: client.nightly.series.record(night_id, points, [{"artifact": named}]))
    ended = await ask(
        lambda client: client.nightly.end(night_id, verdict="PASS", exit_code=0, report=b"{}", ended_at=AT)
    )
    candidates = {named, unnamed, ended.report_digest}
    found = find_referenced(controller.state_directory / "steelyard.sqlite3", candidates, controller.blobs.read_bytes)
    assert found == {named, ended.report_digest}

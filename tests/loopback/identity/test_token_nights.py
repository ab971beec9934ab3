"""Nights run with a token: those of the suites that it names, and no decision of a person's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from steelyard_protocol.v1 import nightly_pb2, nightly_pb2_grpc
from tests.loopback.identity.conftest import Ports
from tests.loopback.identity.test_tokens import reason_of, token
from tests.support.certificate_holder import enroll, refused

WRITES_A_NIGHT = {"BeginNight", "RenewNight", "EndNight", "PutNightItem", "RecordPoints", "PutAlerts"}


@pytest.fixture
async def nights(ports: Ports) -> AsyncIterator[nightly_pb2_grpc.NightlyServiceStub]:
    """The calls of a token for the suite "shelf"."""
    await enroll(await ports.device_code(), name="pi5")
    async with (await token(ports, "pi5", "suite:shelf")).channel() as channel:
        yield nightly_pb2_grpc.NightlyServiceStub(channel)


def begin(suite: str) -> nightly_pb2.BeginNightRequest:
    request = nightly_pb2.BeginNightRequest(request_id=f"of-{suite}", suite_name=suite, suite_digest="ab" * 32)
    request.started_at.FromSeconds(1_800_000_000)
    return request


async def test_a_token_keeps_a_night_of_its_suite(nights: nightly_pb2_grpc.NightlyServiceStub) -> None:
    night = (await nights.BeginNight(begin("shelf"), timeout=60)).night
    key = nightly_pb2.SeriesKey(model="m", device_id="d", runtime="r", metric="p50", unit="ms")
    points = nightly_pb2.RecordPointsRequest(night_id=night.night_id, points=[nightly_pb2.Point(key=key, value=1.0)])
    assert (await nights.RecordPoints(points, timeout=60)).recorded_count == 1
    alert = nightly_pb2.Alert(alert_id="a1", suite_name="shelf", state="suspected", json="{}", changed_by="somebody")
    put = nightly_pb2.PutAlertsRequest(night_id=night.night_id, alerts=[alert])
    assert [one.changed_by for one in (await nights.PutAlerts(put, timeout=60)).alerts] == ["ci"]


async def test_nights_of_another_suite_are_not_for_it(
    nights: nightly_pb2_grpc.NightlyServiceStub, ports: Ports
) -> None:
    refusal = await refused(nights.BeginNight(begin("other"), timeout=60))
    assert refusal.reason == "outside_scope"
    assert "nights of shelf and not of 'other'" in refusal.sentence
    begun = await ports.controller.store.call(lambda store: store.nightly.nights.begin(begin("other")))
    of_other: dict[str, Any] = {"night_id": begun.night.night_id}
    for call, request in (
        (nights.RenewNight, nightly_pb2.RenewNightRequest(**of_other)),
        (nights.EndNight, nightly_pb2.EndNightRequest(**of_other)),
        (nights.PutNightItem, nightly_pb2.PutNightItemRequest(**of_other)),
        (nights.RecordPoints, nightly_pb2.RecordPointsRequest(**of_other)),
        (nights.PutAlerts, nightly_pb2.PutAlertsRequest(**of_other)),
    ):
        assert (await refused(call(request, timeout=60))).reason == "outside_scope"  # type: ignore[operator]


async def test_a_token_with_a_suite_still_decides_about_no_alert(ports: Ports) -> None:
    await enroll(await ports.device_code(), name="pi5")
    service = nightly_pb2.DESCRIPTOR.services_by_name["NightlyService"]
    async with (await token(ports, "pi5", "suite:shelf")).channel() as channel:
        reasons = {one.name: await reason_of(channel, "NightlyService", one) for one in service.methods}
    let_in = {name for name, reason in reasons.items() if reason != "not_for_a_token"}
    assert {name for name in let_in if not name.startswith(("Get", "List"))} == WRITES_A_NIGHT


async def test_a_token_without_a_suite_hears_how_to_make_one(ports: Ports) -> None:
    await enroll(await ports.device_code(), name="pi5")
    async with (await token(ports, "pi5")).channel() as channel:
        refusal = await refused(nightly_pb2_grpc.NightlyServiceStub(channel).BeginNight(begin("shelf"), timeout=60))
    assert refusal.reason == "not_for_a_token"
    assert "steelyard user token NAME --suite SUITE" in refusal.sentence


async def test_a_suite_alone_is_no_reach(ports: Ports) -> None:
    with pytest.raises(Exception, match="reaches no device"):
        await token(ports, "suite:shelf")

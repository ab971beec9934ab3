"""NightlyService: message in, store call, message out. Roles were looked at before, by the guard.

What nights measured and found is judged by those who run them; here it is kept, by whom it was changed included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import grpc.aio

from steelyard.control.by_name import add_service
from steelyard.errors import UsageError
from steelyard.membership.caller import CURRENT_CALLER
from steelyard.store.blobs import BlobStore
from steelyard.store.nightly_records import NightlyRecords
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import nightly_pb2

_T = TypeVar("_T")


class NightlyServicer:
    """Serves those who run nights and read them; a method's name is its RPC's in snake case."""

    def __init__(self, store: AsyncStore, blobs: BlobStore) -> None:
        self._store = store
        self._blobs = blobs

    # -- nights -------------------------------------------------------------------------------------------------

    async def begin_night(self, request: nightly_pb2.BeginNightRequest) -> nightly_pb2.BeginNightResponse:
        """Begin the suite's next night, or give back the one that is not over."""
        return await self._call(lambda nightly: nightly.nights.begin(request))

    async def renew_night(self, request: nightly_pb2.RenewNightRequest) -> nightly_pb2.RenewNightResponse:
        """Let a night's runner hold it for another while."""
        night = await self._call(
            lambda nightly: nightly.nights.renew(request.night_id, request.runner, request.hold_ms)
        )
        return nightly_pb2.RenewNightResponse(night=night)

    async def get_night(self, request: nightly_pb2.GetNightRequest) -> nightly_pb2.GetNightResponse:
        """Return a night."""
        asked = request.night_id, request.suite_name, request.night_number
        return nightly_pb2.GetNightResponse(night=await self._call(lambda nightly: nightly.nights.get(*asked)))

    async def list_nights(self, request: nightly_pb2.ListNightsRequest) -> nightly_pb2.ListNightsResponse:
        """Return a page of nights."""
        asked = request.suite_name, request.page_size, request.page_token
        nights, token = await self._call(lambda nightly: nightly.nights.page(*asked))
        return nightly_pb2.ListNightsResponse(nights=nights, next_page_token=token)

    async def list_latest_nights(
        self, request: nightly_pb2.ListLatestNightsRequest
    ) -> nightly_pb2.ListLatestNightsResponse:
        """Return the last nights of each suite."""
        return await self._call(lambda nightly: nightly.nights.latest(request.suite_name))

    async def end_night(self, request: nightly_pb2.EndNightRequest) -> nightly_pb2.EndNightResponse:
        """End a night whose document was uploaded."""
        if not self._blobs.has(request.report_digest):
            raise UsageError(
                "blob_missing",
                f"the night's report {request.report_digest[:12]!r} was not uploaded: upload it before the night ends",
            )
        return nightly_pb2.EndNightResponse(night=await self._call(lambda nightly: nightly.nights.end(request)))

    async def abandon_night(self, request: nightly_pb2.AbandonNightRequest) -> nightly_pb2.AbandonNightResponse:
        """End a night that will not be gone on with."""
        night = await self._call(lambda nightly: nightly.nights.abandon(request.night_id, request.reason))
        return nightly_pb2.AbandonNightResponse(night=night)

    async def put_night_item(self, request: nightly_pb2.PutNightItemRequest) -> nightly_pb2.PutNightItemResponse:
        """Keep a note of a night."""
        await self._call(lambda nightly: nightly.items.put(request.night_id, request.item))
        return nightly_pb2.PutNightItemResponse()

    async def list_night_items(self, request: nightly_pb2.ListNightItemsRequest) -> nightly_pb2.ListNightItemsResponse:
        """Return a page of a night's notes."""
        asked = request.night_id, request.kind, request.page_size, request.page_token
        items, token = await self._call(lambda nightly: nightly.items.page(*asked))
        return nightly_pb2.ListNightItemsResponse(items=items, next_page_token=token)

    # -- series -------------------------------------------------------------------------------------------------

    async def record_points(self, request: nightly_pb2.RecordPointsRequest) -> nightly_pb2.RecordPointsResponse:
        """Keep what a night measured."""
        recorded, kept = await self._call(lambda nightly: nightly.points.record(request))
        return nightly_pb2.RecordPointsResponse(recorded_count=recorded, kept_count=kept)

    async def list_series(self, request: nightly_pb2.ListSeriesRequest) -> nightly_pb2.ListSeriesResponse:
        """Return a page of the series that fit."""
        asked = request.filter, request.page_size, request.page_token
        series, token = await self._call(lambda nightly: nightly.series.series(*asked))
        return nightly_pb2.ListSeriesResponse(series=series, next_page_token=token)

    async def list_histories(self, request: nightly_pb2.ListHistoriesRequest) -> nightly_pb2.ListHistoriesResponse:
        """Return a page of series with their last values."""
        histories, token = await self._call(lambda nightly: nightly.series.page(request))
        return nightly_pb2.ListHistoriesResponse(histories=histories, next_page_token=token)

    async def list_points(self, request: nightly_pb2.ListPointsRequest) -> nightly_pb2.ListPointsResponse:
        """Return a page of one series' points."""
        asked = request.series_id, request.up_to_night, request.page_size, request.page_token
        points, token = await self._call(lambda nightly: nightly.points.page(*asked))
        return nightly_pb2.ListPointsResponse(points=points, next_page_token=token)

    async def list_night_points(
        self, request: nightly_pb2.ListNightPointsRequest
    ) -> nightly_pb2.ListNightPointsResponse:
        """Return a page of what a night recorded."""
        asked = request.night_id, request.page_size, request.page_token
        points, token = await self._call(lambda nightly: nightly.points.of_night(*asked))
        return nightly_pb2.ListNightPointsResponse(points=points, next_page_token=token)

    async def get_environments(
        self, request: nightly_pb2.GetEnvironmentsRequest
    ) -> nightly_pb2.GetEnvironmentsResponse:
        """Return what points were measured in."""
        found = await self._call(lambda nightly: nightly.series.environments(request.environment_ids))
        told = [nightly_pb2.PointEnvironment(environment_id=one, entries=entries) for one, entries in found.items()]
        return nightly_pb2.GetEnvironmentsResponse(environments=told)

    # -- alerts -------------------------------------------------------------------------------------------------

    async def get_alert(self, request: nightly_pb2.GetAlertRequest) -> nightly_pb2.GetAlertResponse:
        """Return an alert."""
        return nightly_pb2.GetAlertResponse(
            alert=await self._call(lambda nightly: nightly.alerts.get(request.alert_id))
        )

    async def list_alerts(self, request: nightly_pb2.ListAlertsRequest) -> nightly_pb2.ListAlertsResponse:
        """Return a page of the alerts that fit."""
        alerts, token = await self._call(lambda nightly: nightly.alerts.page(request))
        return nightly_pb2.ListAlertsResponse(alerts=alerts, next_page_token=token)

    async def put_alerts(self, request: nightly_pb2.PutAlertsRequest) -> nightly_pb2.PutAlertsResponse:
        """Keep what a night made of its alerts."""
        for alert in request.alerts:
            alert.changed_by = _caller_name(alert.changed_by)
        alerts = await self._call(lambda nightly: nightly.alerts.put(request.night_id, request.alerts))
        return nightly_pb2.PutAlertsResponse(alerts=alerts)

    async def change_alert(self, request: nightly_pb2.ChangeAlertRequest) -> nightly_pb2.ChangeAlertResponse:
        """Keep what a person made of an alert."""
        request.alert.changed_by = _caller_name(request.alert.changed_by)
        return nightly_pb2.ChangeAlertResponse(
            alert=await self._call(lambda nightly: nightly.alerts.change(request.alert))
        )

    async def accept_change(self, request: nightly_pb2.AcceptChangeRequest) -> nightly_pb2.AcceptChangeResponse:
        """Make a night the first of the series' new level."""
        request.who = _caller_name(request.who)
        if request.HasField("alert"):
            request.alert.changed_by = request.who
        return await self._call(lambda nightly: nightly.alerts.accept(request))

    async def create_silence(self, request: nightly_pb2.CreateSilenceRequest) -> nightly_pb2.CreateSilenceResponse:
        """Keep a silence."""
        request.silence.created_by = _caller_name(request.silence.created_by)
        return nightly_pb2.CreateSilenceResponse(
            silence=await self._call(lambda nightly: nightly.silences.create(request.silence))
        )

    async def list_silences(self, request: nightly_pb2.ListSilencesRequest) -> nightly_pb2.ListSilencesResponse:
        """Return a page of silences."""
        silences, token = await self._call(
            lambda nightly: nightly.silences.page(
                active_only=request.active_only, page_size=request.page_size, page_token=request.page_token
            )
        )
        return nightly_pb2.ListSilencesResponse(silences=silences, next_page_token=token)

    async def end_silence(self, request: nightly_pb2.EndSilenceRequest) -> nightly_pb2.EndSilenceResponse:
        """End a silence."""
        asked = request.silence_id, _caller_name(request.who), request.reason, request.json
        return nightly_pb2.EndSilenceResponse(silence=await self._call(lambda nightly: nightly.silences.end(*asked)))

    async def _call(self, method: Callable[[NightlyRecords], _T]) -> _T:
        return await self._store.call(lambda store: method(store.nightly))


def add_nightly_service(servicer: NightlyServicer, server: grpc.aio.Server) -> None:
    """Register every RPC of NightlyService with the method of its name."""
    add_service(nightly_pb2, "NightlyService", servicer, server)


def _caller_name(said: str) -> str:
    """Return the name of the caller's certificate; what the request says where it came without one."""
    caller = CURRENT_CALLER.get()
    return caller.subject.name if caller is not None else said

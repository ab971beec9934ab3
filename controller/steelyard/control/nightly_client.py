"""The part of the Python API that keeps nights; reached as ``client.nightly``."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from steelyard.control.alerts_client import AlertsClient
from steelyard.control.blob_client import BlobClient
from steelyard.control.errors_on_wire import called
from steelyard.control.paged import paged
from steelyard.control.series_client import SeriesClient
from steelyard.errors import NotFoundError
from steelyard_protocol.v1 import nightly_pb2, nightly_pb2_grpc

_TIMEOUT_S = 60.0
_PAGE_SIZE = 500


class NightlyClient:
    """Every method raises ``steelyard.SteelyardError``. Times are aware ``datetime`` objects.

    Over a network what only reads needs the role "read", everything else "run".
    """

    def __init__(self, channel: grpc.Channel, blobs: BlobClient) -> None:
        self._stub = nightly_pb2_grpc.NightlyServiceStub(channel)
        self._blobs = blobs

    @cached_property
    def series(self) -> SeriesClient:
        """What the nights recorded."""
        return SeriesClient(self._stub)

    @cached_property
    def alerts(self) -> AlertsClient:
        """What the nights found, and what people made of it."""
        return AlertsClient(self._stub)

    # -- nights -------------------------------------------------------------------------------------------------

    def begin(
        self,
        suite_name: str,
        *,
        suite_digest: str,
        suite_text: str,
        started_at: datetime,
        runner: str = "",
        hold_s: float = 0.0,
        request_id: str = "",
    ) -> nightly_pb2.BeginNightResponse:
        """Begin the suite's next night, or go on with the one that is not over (``resumed``).

        For ``hold_s`` seconds, and as long again after each ``renew``, no other runner may go on with it: that one gets
        ``night_running``. ``previous`` is the suite's last night that ended, if any.
        """
        request = nightly_pb2.BeginNightRequest(
            request_id=request_id or uuid.uuid4().hex,
            suite_name=suite_name,
            suite_digest=suite_digest,
            suite_text=suite_text,
            started_at=_timestamp(started_at),
            runner=runner,
            hold_ms=int(hold_s * 1000),
        )
        return called(lambda: self._stub.BeginNight(request, timeout=_TIMEOUT_S))

    def renew(self, night_id: str, runner: str, hold_s: float) -> nightly_pb2.Night:
        """Say that a night is still being run."""
        request = nightly_pb2.RenewNightRequest(night_id=night_id, runner=runner, hold_ms=int(hold_s * 1000))
        return called(lambda: self._stub.RenewNight(request, timeout=_TIMEOUT_S)).night

    def night(self, night_id: str) -> nightly_pb2.Night:
        """Return a night by its id."""
        request = nightly_pb2.GetNightRequest(night_id=night_id)
        return called(lambda: self._stub.GetNight(request, timeout=_TIMEOUT_S)).night

    def night_of(self, suite_name: str, night_number: int = 0) -> nightly_pb2.Night:
        """Return a night of a suite by its number; 0: the last one that ended."""
        request = nightly_pb2.GetNightRequest(suite_name=suite_name, night_number=night_number)
        return called(lambda: self._stub.GetNight(request, timeout=_TIMEOUT_S)).night

    def nights(self, suite_name: str = "", *, most: int = 50) -> list[nightly_pb2.Night]:
        """Return the newest nights of a suite, of all for "", without their suites' texts."""

        def page(token: str) -> tuple[Sequence[nightly_pb2.Night], str]:
            request = nightly_pb2.ListNightsRequest(
                suite_name=suite_name, page_size=min(most, _PAGE_SIZE), page_token=token
            )
            response = self._stub.ListNights(request, timeout=_TIMEOUT_S)
            return response.nights, response.next_page_token

        return list(islice(paged(page), most))

    def latest(self, suite_name: str = "") -> nightly_pb2.ListLatestNightsResponse:
        """Return the last nights of a suite, of each for "", and the time by the controller's clock."""
        request = nightly_pb2.ListLatestNightsRequest(suite_name=suite_name)
        return called(lambda: self._stub.ListLatestNights(request, timeout=_TIMEOUT_S))

    def end(
        self, night_id: str, *, verdict: str, exit_code: int, report: bytes, ended_at: datetime
    ) -> nightly_pb2.Night:
        """Keep a night's document, as JSON, and end the night; the same again changes nothing."""
        digest = hashlib.sha256(report).hexdigest()
        self._blobs.upload(report, digest, len(report))
        request = nightly_pb2.EndNightRequest(
            night_id=night_id,
            verdict=verdict,
            exit_code=exit_code,
            report_digest=digest,
            ended_at=_timestamp(ended_at),
        )
        return called(lambda: self._stub.EndNight(request, timeout=_TIMEOUT_S)).night

    def abandon(self, night_id: str, reason: str) -> nightly_pb2.Night:
        """End a night that will not be gone on with."""
        request = nightly_pb2.AbandonNightRequest(night_id=night_id, reason=reason)
        return called(lambda: self._stub.AbandonNight(request, timeout=_TIMEOUT_S)).night

    def report(self, night: nightly_pb2.Night) -> bytes:
        """Return a night's document as JSON.

        Raises:
            NotFoundError: ``no_report`` while it is not over, or was abandoned.
        """
        if not night.report_digest:
            raise NotFoundError(
                "no_report",
                f"night {night.night_number} of suite {night.suite_name} has no report: it did not end; "
                "`steelyard nightly run` goes on with it",
            )
        return self._blobs.download(night.report_digest)

    # -- notes of a night ---------------------------------------------------------------------------------------

    def put_item(self, night_id: str, kind: str, key: str, document: Any) -> None:
        """Keep a small note of a night, anything that JSON can say; one of the same kind and key is replaced."""
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        item = nightly_pb2.NightItem(kind=kind, key=key, json=text)
        request = nightly_pb2.PutNightItemRequest(night_id=night_id, item=item)
        called(lambda: self._stub.PutNightItem(request, timeout=_TIMEOUT_S))

    def items(self, night_id: str, kind: str) -> dict[str, Any]:
        """Return a night's notes of one kind by their keys, in the order in which they were first put."""

        def page(token: str) -> tuple[Sequence[nightly_pb2.NightItem], str]:
            request = nightly_pb2.ListNightItemsRequest(
                night_id=night_id, kind=kind, page_size=_PAGE_SIZE, page_token=token
            )
            response = self._stub.ListNightItems(request, timeout=_TIMEOUT_S)
            return response.items, response.next_page_token

        return {one.key: json.loads(one.json) for one in paged(page)}


def _timestamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made

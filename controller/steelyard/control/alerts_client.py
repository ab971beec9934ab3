"""The part of the Python API that keeps alerts and silences; reached as ``client.nightly.alerts``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from steelyard.control.errors_on_wire import called
from steelyard.control.paged import paged
from steelyard_protocol.v1 import nightly_pb2, nightly_pb2_grpc

_TIMEOUT_S = 60.0
_PAGE_SIZE = 100
# A controller takes 1 MiB a message, and 1,000 alerts.
_BYTES_AT_ONCE, _ALERTS_AT_ONCE = 512 * 1024, 500


class AlertsClient:
    """Every method raises ``steelyard.SteelyardError``. ``steelyard.triage`` reads and writes what ``json`` holds."""

    def __init__(self, stub: nightly_pb2_grpc.NightlyServiceStub) -> None:
        self._stub = stub

    def get(self, alert_id: str) -> nightly_pb2.Alert:
        """Return an alert by its id, or by the first 4 or more characters of one."""
        request = nightly_pb2.GetAlertRequest(alert_id=alert_id)
        return called(lambda: self._stub.GetAlert(request, timeout=_TIMEOUT_S)).alert

    def find(
        self,
        suite_name: str = "",
        *,
        model: str = "",
        device_id: str = "",
        runtime: str = "",
        metric: str = "",
        states: Sequence[str] = (),
        open_only: bool = False,
        most: int = 10_000,
    ) -> list[nightly_pb2.Alert]:
        """Return the alerts that fit, the newest first; "" does not restrict."""

        def page(token: str) -> tuple[Sequence[nightly_pb2.Alert], str]:
            request = nightly_pb2.ListAlertsRequest(
                suite_name=suite_name,
                model=model,
                device_id=device_id,
                runtime=runtime,
                metric=metric,
                states=states,
                open_only=open_only,
                page_size=min(most, _PAGE_SIZE),
                page_token=token,
            )
            response = self._stub.ListAlerts(request, timeout=_TIMEOUT_S)
            return response.alerts, response.next_page_token

        return list(islice(paged(page), most))

    def put(self, night_id: str, alerts: Sequence[nightly_pb2.Alert]) -> Sequence[nightly_pb2.Alert]:
        """Keep what a night made of its alerts, and return them with their versions; the same again changes nothing.

        Raises:
            UsageError: ``alert_changed`` when somebody changed one since it was read: read it and judge again.
        """
        kept: dict[str, nightly_pb2.Alert] = {}
        for request in _requests(night_id, alerts):
            response = called(lambda one=request: self._stub.PutAlerts(one, timeout=_TIMEOUT_S))  # type: ignore[misc]
            kept |= {one.alert_id: one for one in response.alerts}
        return [kept[one.alert_id] for one in alerts]

    def change(self, alert: nightly_pb2.Alert) -> nightly_pb2.Alert:
        """Keep what a person made of an alert, whose ``version`` is the one that was read.

        Raises:
            UsageError: ``alert_changed``.
        """
        request = nightly_pb2.ChangeAlertRequest(alert=alert)
        return called(lambda: self._stub.ChangeAlert(request, timeout=_TIMEOUT_S)).alert

    def accept(
        self,
        series_ids: Sequence[int],
        *,
        night_number: int,
        who: str,
        reason: str,
        alert: nightly_pb2.Alert | None = None,
    ) -> nightly_pb2.AcceptChangeResponse:
        """Make a night the first of the series' new level, and change the alert that says so with it."""
        request = nightly_pb2.AcceptChangeRequest(
            series_ids=series_ids, night_number=night_number, who=who, reason=reason, alert=alert
        )
        return called(lambda: self._stub.AcceptChange(request, timeout=_TIMEOUT_S))

    # -- silences -----------------------------------------------------------------------------------------------

    def silence(self, silence: nightly_pb2.Silence) -> nightly_pb2.Silence:
        """Keep a silence; the same again gives the one that is there."""
        request = nightly_pb2.CreateSilenceRequest(silence=silence)
        return called(lambda: self._stub.CreateSilence(request, timeout=_TIMEOUT_S)).silence

    def silences(self, *, active_only: bool = False) -> Sequence[nightly_pb2.Silence]:
        """Return the silences, the newest first; those that hold by the controller's clock, or all."""

        def page(token: str) -> tuple[Sequence[nightly_pb2.Silence], str]:
            request = nightly_pb2.ListSilencesRequest(active_only=active_only, page_size=_PAGE_SIZE, page_token=token)
            response = self._stub.ListSilences(request, timeout=_TIMEOUT_S)
            return response.silences, response.next_page_token

        return list(paged(page))

    def end_silence(self, silence_id: str, *, who: str, reason: str, json: str = "") -> nightly_pb2.Silence:
        """End a silence before its time; ``json`` is what it is afterwards, "" leaves that as it was."""
        request = nightly_pb2.EndSilenceRequest(silence_id=silence_id, who=who, reason=reason, json=json)
        return called(lambda: self._stub.EndSilence(request, timeout=_TIMEOUT_S)).silence


def _requests(night_id: str, alerts: Sequence[nightly_pb2.Alert]) -> list[nightly_pb2.PutAlertsRequest]:
    requests, size = [nightly_pb2.PutAlertsRequest(night_id=night_id)], 0
    for alert in alerts:
        is_full = size + alert.ByteSize() > _BYTES_AT_ONCE or len(requests[-1].alerts) == _ALERTS_AT_ONCE
        if size and is_full:
            requests.append(nightly_pb2.PutAlertsRequest(night_id=night_id))
            size = 0
        requests[-1].alerts.add().CopyFrom(alert)
        size += alert.ByteSize()
    return requests

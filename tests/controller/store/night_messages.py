"""Nights, points and alerts for tests of the store."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.store.store import Store
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.store.messages import digest_of

SUITE = "shelf"
DEVICE = "d1e2f3a4"


def begin_request(request_id: str, suite_name: str = SUITE, **values: object) -> nightly_pb2.BeginNightRequest:
    request = nightly_pb2.BeginNightRequest(
        request_id=request_id,
        suite_name=suite_name,
        suite_digest=digest_of(suite_name),
        suite_text=f'[suite]\nname = "{suite_name}"\n',
        **values,  # type: ignore[arg-type]
    )
    request.started_at.FromSeconds(1_790_000_000)
    return request


def end_request(night_id: str, verdict: str = "PASS", exit_code: int = 0) -> nightly_pb2.EndNightRequest:
    request = nightly_pb2.EndNightRequest(
        night_id=night_id, verdict=verdict, exit_code=exit_code, report_digest=digest_of(f"report of {night_id}")
    )
    request.ended_at.FromSeconds(1_790_003_600)
    return request


def series_key(metric: str = "p50", model: str = "mobilenet", device_id: str = DEVICE) -> nightly_pb2.SeriesKey:
    return nightly_pb2.SeriesKey(model=model, device_id=device_id, runtime="onnxruntime", metric=metric, unit="ms")


def point(value: float | None = None, *, metric: str = "p50", **values: object) -> nightly_pb2.Point:
    key = series_key(metric, device_id=str(values.pop("device_id", DEVICE)))
    return nightly_pb2.Point(key=key, value=value, **values)  # type: ignore[arg-type]


def record(
    store: Store,
    night_id: str,
    points: Sequence[nightly_pb2.Point],
    environments: Sequence[dict[str, str]] = (),
) -> tuple[int, int]:
    kept = [nightly_pb2.PointEnvironment(entries=one) for one in environments]
    return store.nightly.points.record(
        nightly_pb2.RecordPointsRequest(night_id=night_id, points=points, environments=kept)
    )


def run_night(
    store: Store,
    points: Sequence[nightly_pb2.Point] = (),
    environments: Sequence[dict[str, str]] = (),
    *,
    suite_name: str = SUITE,
    verdict: str = "PASS",
) -> nightly_pb2.Night:
    """Begin the suite's next night, record points of it, end it."""
    count = len(store.nightly.nights.page(page_size=500)[0])
    night = store.nightly.nights.begin(begin_request(f"request-{count}", suite_name)).night
    record(store, night.night_id, points, environments)
    return store.nightly.nights.end(end_request(night.night_id, verdict))


def alert(alert_id: str = "a1b2c3d4e5f6", *, state: str = "confirmed", **values: object) -> nightly_pb2.Alert:
    given: dict[str, object] = {
        "suite_name": SUITE,
        "model": "mobilenet",
        "device_id": DEVICE,
        "open": True,
        "first_night": 3,
        "last_night": 3,
        "json": f'{{"state": "{state}"}}',
        "changed_by": "ada",
    }
    return nightly_pb2.Alert(alert_id=alert_id, state=state, **{**given, **values})  # type: ignore[arg-type]

"""Series for tests of histories: a step of 6 % at one night, gaps at others, as a controller would tell them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from steelyard.report.history.story import SeriesStory, tell
from steelyard_protocol.v1 import nightly_pb2

ENVIRONMENTS = {
    1: {"runtime": "onnxruntime 1.19.2", "kernel": "6.6.20"},
    2: {"runtime": "onnxruntime 1.20.0", "kernel": "6.6.20"},
}


def told_series(night_count: int, **values: object) -> nightly_pb2.Series:
    key = nightly_pb2.SeriesKey(
        suite_name="shelf",
        model="mobilenet",
        device_id="d1e2f3a4",
        runtime="onnxruntime",
        metric=str(values.pop("metric", "p50")),
        unit=str(values.pop("unit", "ns")),
    )
    return nightly_pb2.Series(series_id=1, key=key, device_name="pi5", first_night=1, last_night=night_count, **values)  # type: ignore[arg-type]


def told_points(
    night_count: int, *, step_at: int = 0, gaps: Collection[int] = (), level: float = 20e6
) -> list[nightly_pb2.Point]:
    """Return nights, the newest first: noise of 1 %, 6 % more and another environment from ``step_at`` on."""
    random = np.random.default_rng(7)
    points = []
    for night in range(1, night_count + 1):
        after = bool(step_at) and night >= step_at
        point = nightly_pb2.Point(night_number=night, environment_id=2 if after else 1, round_count=12)
        value = level * (1.06 if after else 1.0) * float(np.exp(0.01 * random.standard_normal()))
        if night in gaps:
            point.gap_reason = "the device was offline"
        else:
            point.value, point.low, point.high = value, 0.99 * value, 1.01 * value
        points.append(point)
    return points[::-1]


def told_texts(*texts: str) -> list[nightly_pb2.Point]:
    return [nightly_pb2.Point(night_number=night, text=text) for night, text in enumerate(texts, 1)][::-1]


def story(night_count: int, *, step_at: int = 0, gaps: Collection[int] = (), **values: object) -> SeriesStory:
    days = {night: f"day {night}" for night in range(1, night_count + 1)}
    points = told_points(night_count, step_at=step_at, gaps=gaps)
    return tell(told_series(night_count, **values), points, environments=ENVIRONMENTS, days=days)

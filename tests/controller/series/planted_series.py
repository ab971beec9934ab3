"""Histories with planted truths."""

from __future__ import annotations

import numpy as np

from steelyard.series.history import History, history_of
from steelyard.series.series_key import SeriesKey


def key(metric: str = "p50") -> SeriesKey:
    return SeriesKey(suite="nightly", model="net", device_id="pi5-a", runtime="onnxruntime", metric=metric)


def nights(
    count: int,
    *,
    seed: int = 0,
    noise: float = 0.015,
    level: float = 2e7,
    effect: float = 0.0,
    since: int | None = None,
    device: np.ndarray | None = None,
    metric: str = "p50",
    accepted_night: int | None = None,
) -> History:
    """A series that is ``effect`` larger from ``since`` on; it and its sentinel follow the device's log level."""
    random = np.random.default_rng(seed)
    level_logs = np.zeros(count) if device is None else device
    logs = random.normal(0.0, noise, count) + level_logs
    if since is not None:
        logs[since:] += np.log1p(effect)
    sentinel = 1e6 * np.exp(level_logs + random.normal(0.0, 0.003, count))
    return history_of(
        key(metric),
        list(range(1, count + 1)),
        (level * np.exp(logs)).tolist(),
        sentinel.tolist(),
        accepted_night=accepted_night,
    )

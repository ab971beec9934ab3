"""The sustained mode: a single stream for minutes, as a curve of points that shows what the heat does."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from steelyard_agent.worker.block import CurvePoint, Timing, WorkerResult
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.opening import Bench, explained, make_feeds
from steelyard_agent.worker.percentiles import ninetieth_ns, percentile_ns
from steelyard_agent.worker.phases import first_inference, read_memory, timed_window, warm
from steelyard_agent.worker.stopwatch import Call, Clock, fill_store, quiet_collector, sample_store

_clock = time.perf_counter_ns
# Samples that are kept of the whole curve, evenly thinned: minutes of a short inference are tens of millions.
MOST_KEPT_SAMPLES = 1 << 17
# 10 s of the shortest sample that is timed alone.
_MOST_OF_A_POINT = 1 << 21
_NS_PER_MS = 1_000_000


@dataclass(slots=True, kw_only=True)
class Curve:
    """Collects the points of a curve and every ``stride``-th sample of it."""

    inner_count: int
    stride: int
    points: list[CurvePoint] = field(default_factory=list)
    kept_ns: list[int] = field(default_factory=list)
    _skip: int = 0

    def add(
        self, samples: array[int], *, offset_ms: int, temperature_c: float | None, frequency_hz: int | None
    ) -> None:
        """Take the samples of a point whose middle is ``offset_ms`` after the curve's start."""
        self.kept_ns += samples[self._skip :: self.stride].tolist()
        self._skip = (self._skip - len(samples)) % self.stride
        ordered = np.sort(np.frombuffer(samples, dtype=np.int64))
        self.points.append(
            CurvePoint(
                offset_ms=offset_ms,
                inference_count=len(samples) * self.inner_count,
                p50_ns=percentile_ns(ordered, 0.5),
                p90_ns=ninetieth_ns(ordered),
                temperature_c=temperature_c,
                frequency_hz=frequency_hz,
            )
        )

    @property
    def inference_count(self) -> int:
        """The inferences of all points."""
        return sum(point.inference_count for point in self.points)


def run_sustained(bench: Bench, model: LoadedModel) -> WorkerResult:
    """Measure a curve.

    Raises:
        BlockFailure: the model cannot be fed or run.
    """
    # Here and not above: no other mode needs the meters, and what is imported counts as the runtime's.
    from steelyard_agent.worker.curve_readings import find_curve_reader

    reader = find_curve_reader(bench.block.core_ids)
    call = model.bind(make_feeds(bench, model))
    mode = bench.block.mode
    with explained(model):
        first_inference(bench, call)
        with quiet_collector():
            warmth, inner_count = warm(bench, call)
            read_memory(bench)
            expected = mode.duration_ms * _NS_PER_MS / max(1.0, warmth.estimate_ns * inner_count)
            curve = Curve(inner_count=inner_count, stride=max(1, round(expected / MOST_KEPT_SAMPLES)))
            # A point has the samples that fall into it, one at least: a slow model must not stretch the curve.
            timing = Timing(sample_window_ms=mode.curve_point_ms, min_sample_count=1)
            store = sample_store(timing, estimate_ns=warmth.estimate_ns, inner_count=inner_count, most=_MOST_OF_A_POINT)
            with timed_window(bench):
                draw_curve(
                    call,
                    curve,
                    store,
                    timing,
                    duration_ns=mode.duration_ms * _NS_PER_MS,
                    clock=_clock,
                    read_heat=lambda: (reader.temperature_c(), reader.frequency_hz()),
                    say=bench.say,
                )
    return replace(
        bench.result,
        curve=tuple(curve.points),
        latency_ns=tuple(curve.kept_ns),
        inner_batch_count=inner_count,
        sample_count=curve.inference_count,
        notes=(*bench.result.notes, *reader.notes, *_thinned(curve)),
    )


def draw_curve(
    call: Call,
    curve: Curve,
    store: array[int],
    timing: Timing,
    *,
    duration_ns: int,
    clock: Clock,
    read_heat: Callable[[], tuple[float | None, int | None]],
    say: Callable[[str], None],
) -> None:
    """Add points to the curve until it is as long as planned; after each, and only then, heat is read and a sign given.

    ``read_heat`` returns temperature (Cel) and frequency (Hz).
    """
    begun_ns = clock()
    while (start_ns := clock()) - begun_ns < duration_ns:
        count = fill_store(call, store, timing, inner_count=curve.inner_count, clock=clock)
        middle_ns = (start_ns + clock()) // 2 - begun_ns
        temperature_c, frequency_hz = read_heat()
        curve.add(
            store[:count],
            offset_ms=middle_ns // _NS_PER_MS,
            temperature_c=temperature_c,
            frequency_hz=frequency_hz,
        )
        say("point")


def _thinned(curve: Curve) -> list[str]:
    if curve.stride == 1:
        return []
    return ["the samples of the curve are thinned out evenly; its points are of all"]

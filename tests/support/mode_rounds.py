"""Rounds of each mode with a planted truth, and the measurements that the analysis makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from steelyard.analysis.measurement import build_measurement
from steelyard_protocol.v1 import measurement_pb2, plan_pb2, result_pb2
from tests.controller.analysis.planted_rounds import given, latency_rounds

NS_PER_S = 1_000_000_000
OFFLINE = plan_pb2.ModeSpec(mode=plan_pb2.MODE_OFFLINE)
PACED = plan_pb2.ModeSpec(mode=plan_pb2.MODE_PACED, rate_hz=20)
STREAMS = plan_pb2.ModeSpec(mode=plan_pb2.MODE_MULTI_STREAM, stream_count=2)
SUSTAINED = plan_pb2.ModeSpec(mode=plan_pb2.MODE_SUSTAINED, duration_ms=300_000, point_ms=5000)
STEPWISE = plan_pb2.ModeSpec(mode=plan_pb2.MODE_STEPWISE, step_counts=(1, 4, 16), state_outputs={"h": "hn"})
Plant = Callable[[result_pb2.BlockResult], None]


def heated(block: result_pb2.BlockResult, *, slowdown: float = 1.25, with_heat: bool = True) -> None:
    """A curve of 60 points of 5 s that ends ``slowdown`` times as slow as it began, from 45 to 80 C."""
    p50_ns = float(np.median(block.latency_ns))
    for index, share in enumerate(np.linspace(0.0, 1.0, 60)):
        ramp = float(np.clip(2.0 * share - 0.5, 0.0, 1.0))
        point = block.curve.add(offset_ms=2500 + 5000 * index, inference_count=5000)
        point.p50_ns = int(p50_ns * (1.0 + (slowdown - 1.0) * ramp))
        point.p90_ns = int(1.1 * point.p50_ns)
        if with_heat:
            point.temperature_c, point.frequency_hz = 45 + 35 * share, int(2.4e9 - 0.6e9 * ramp)


def queued(block: result_pb2.BlockResult, *, wait_ns: int = 200_000, missed_count: int = 0) -> None:
    """Responses that are the service times and a wait."""
    block.response_ns.extend(one + wait_ns for one in block.latency_ns)
    block.missed_count = missed_count


def stepped(block: result_pb2.BlockResult) -> None:
    """Sequences of 16 steps: the first one takes three times as long as the others."""
    p50_ns = int(np.median(block.latency_ns))
    for _ in range(4):
        block.sequences.add(step_ns=[3 * p50_ns, *[p50_ns] * 15])


def timed(block: result_pb2.BlockResult) -> None:
    """Back to back: a window that is as long as its inferences took, on 1.5 cores."""
    block.sample_count = len(block.latency_ns)
    block.window_ns = sum(block.latency_ns)
    block.cpu_ns = block.window_ns * 3 // 2
    block.batch_size = 1


def rounds_of(truth: Mapping[str, float], plants: Sequence[Plant] = (), count: int = 8) -> list[result_pb2.RoundResult]:
    """``count`` rounds of ``truth`` (label -> p50 in ns) with what ``plants`` add to each block."""
    rounds = latency_rounds(truth, count)
    for one in rounds:
        for block in one.blocks:
            for plant in (timed, *plants):
                plant(block)
    return rounds


def measured(
    mode: plan_pb2.ModeSpec, truth: Mapping[str, float], plants: Sequence[Plant] = (), count: int = 8, **fields: object
) -> measurement_pb2.Measurement:
    """Return the measurement of planted rounds in a mode."""
    found = given(list(truth), rounds_of(truth, plants, count), **fields)
    found.request.plan.mode.CopyFrom(mode)
    return build_measurement(found)


def of_every_mode() -> dict[str, measurement_pb2.Measurement]:
    """Return two variants in each mode, by the mode's name."""
    pair = {"original": 1e6, "static-int8": 5e5}
    plants: dict[str, tuple[plan_pb2.ModeSpec, tuple[Plant, ...]]] = {
        "offline": (OFFLINE, ()),
        "paced": (PACED, (queued,)),
        "multi-stream": (STREAMS, ()),
        "sustained": (SUSTAINED, (heated,)),
        "stepwise": (STEPWISE, (stepped,)),
    }
    return {name: measured(mode, pair, planted) for name, (mode, planted) in plants.items()}

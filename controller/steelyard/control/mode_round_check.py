"""Whether what a mode adds to a block can be so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from steelyard_protocol.v1 import result_pb2

# As many as agents draw at most (steelyard_agent.worker.modes), with room.
_MOST_POINTS = 1000
# As many arrivals as agents plan at most (1 << 20), steps that they keep (1 << 17) and samples of an inference, with
# room: percentiles are taken over the arrivals that never began as well.
_MOST_ARRIVALS = 1 << 21
_MOST_STEPS = 1 << 21
_MOST_BATCH = 1 << 20
# What a processor survives, with room on both sides.
_LEAST_C, _MOST_C = -100.0, 500.0
# Two months; see round_check.
_LARGEST = 2**53


def mode_nonsense(block: result_pb2.BlockResult) -> Iterator[str]:
    """Yield what no device could have measured: "a response_ns of -3"."""
    if len(block.curve) > _MOST_POINTS:
        yield f"{len(block.curve)} points of a curve, more than {_MOST_POINTS}"
    if block.response_ns and len(block.response_ns) != len(block.latency_ns):
        yield f"{len(block.response_ns)} response times beside {len(block.latency_ns)} latencies"
    for name, least, values in _times(block):
        wrong = next((value for value in values if not least <= value <= _LARGEST), None)
        if wrong is not None:
            yield f"a {name} of {wrong}"
    for name, count, most in (
        ("missed_count", block.missed_count, _MOST_ARRIVALS),
        ("batch_size", block.batch_size, _MOST_BATCH),
    ):
        if count > most:
            yield f"a {name} of {count}, more than {most}"
    yield from _curve_nonsense(block)
    yield from _sequence_nonsense(block)


def _curve_nonsense(block: result_pb2.BlockResult) -> Iterator[str]:
    for before, after in pairwise(block.curve):
        if after.offset_ms <= before.offset_ms:
            yield f"a curve that goes back from {before.offset_ms} to {after.offset_ms} ms"
            return
    for point in block.curve:
        if not _LEAST_C <= point.temperature_c <= _MOST_C:
            yield f"a temperature_c of a point of {point.temperature_c}"
            return


def _sequence_nonsense(block: result_pb2.BlockResult) -> Iterator[str]:
    counts = [len(sequence.step_ns) for sequence in block.sequences]
    if not all(counts):
        yield "a sequence without steps"
    elif len(set(counts)) > 1:
        yield f"sequences of {min(counts)} and of {max(counts)} steps"
    if sum(counts) > _MOST_STEPS:
        yield f"{sum(counts)} steps, more than {_MOST_STEPS}"


def _times(block: result_pb2.BlockResult) -> Iterator[tuple[str, int, list[int]]]:
    """Yield the name, the least value that makes sense, and the values that decide, of each figure."""
    for name in ("window_ns", "cpu_ns"):
        yield name, 0, [getattr(block, name)]
    for name in ("response_ns", "preprocessing_ns", "postprocessing_ns"):
        values = getattr(block, name)
        yield name, int(name == "response_ns"), [min(values), max(values)] if values else []
    steps = [step_ns for sequence in block.sequences for step_ns in sequence.step_ns]
    yield "step_ns", 1, [min(steps), max(steps)] if steps else []
    yield "p50_ns of a point", 1, [point.p50_ns for point in block.curve]
    yield "p90_ns of a point", 1, [point.p90_ns for point in block.curve if point.HasField("p90_ns")]
    yield "frequency_hz of a point", 0, [point.frequency_hz for point in block.curve]
    yield "offset_ms of a point", 0, [point.offset_ms for point in block.curve]

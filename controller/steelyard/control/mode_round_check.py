"""Whether what a mode adds to a block can be so."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard_protocol.v1 import result_pb2

# As many as agents draw at most (steelyard_agent.worker.modes), with room.
_MOST_POINTS = 1000
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
    if any(not sequence.step_ns for sequence in block.sequences):
        yield "a sequence without steps"


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
    yield "frequency_hz of a point", 0, [point.frequency_hz for point in block.curve]
    yield "offset_ms of a point", 0, [point.offset_ms for point in block.curve]

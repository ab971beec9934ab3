"""What LiteRT's profiler recorded, summed up by operator.

An event of an operator that LiteRT's own kernels run carries the number of its node in the model's graph. XNNPACK's are
of its own nodes, numbered from 0 in each part of the graph that it took over, in that part's order; their names are
XNNPACK's ("Convolution (NHWC, QC8) IGEMM"). Times are whole microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from steelyard_agent.runtimes.tflite_delegates import CPU, XNNPACK
from steelyard_agent.worker.profiled import NoProfileError
from steelyard_agent.worker.records import OperatorRecord, OperatorSum, quieter_half

# litert/c/litert_profiler_event.h
DEFAULT, OPERATOR, DELEGATE_OPERATOR, PROFILED_DELEGATE_OPERATOR = 1, 2, 4, 8
_OF_A_DELEGATE = frozenset({DELEGATE_OPERATOR, PROFILED_DELEGATE_OPERATOR})
# The event with which each inference begins.
_RUN = "LiteRT::Run[buffer registration]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: its kind by the header's numbers, and the number of the node that it is of."""

    tag: str
    kind: int
    elapsed_us: int
    node: int


def sum_up(events: Iterable[Event], call_count: int) -> OperatorSum:
    """Return the operators of the quieter half of the last ``call_count`` inferences.

    Raises:
        NoProfileError: there are fewer inferences, or no event of an operator in them.
    """
    events = list(events)
    begins = [index for index, event in enumerate(events) if event.kind == DEFAULT and event.tag == _RUN]
    if len(begins) < call_count:
        raise NoProfileError(f"LiteRT's profiler kept {len(begins)} of {call_count} inferences")
    begins = [*begins[-call_count:], len(events)]
    inferences = [list(_operators(events[begin:end])) for begin, end in pairwise(begins)]
    kept = quieter_half([sum(elapsed_us for _, elapsed_us in inference) for inference in inferences])
    sums: dict[tuple[str, str, str], tuple[int, int]] = {}
    for place in kept:
        for key, elapsed_us in inferences[place]:
            count, total_us = sums.get(key, (0, 0))
            sums[key] = (count + 1, total_us + elapsed_us)
    if not sums:
        raise NoProfileError("LiteRT's profiler kept no operator of this model")
    records = tuple(
        OperatorRecord(name=name, kind=kind, provider=provider, call_count=count, total_ns=total_us * 1000)
        for (name, kind, provider), (count, total_us) in sums.items()
    )
    return OperatorSum(operators=records, inference_count=len(kept))


def _operators(events: Sequence[Event]) -> Iterable[tuple[tuple[str, str, str], int]]:
    """Yield (name, kind, provider) and microseconds of each operator of one inference."""
    has_inside = any(event.kind in _OF_A_DELEGATE for event in events)
    part, last = 0, -1
    for event in events:
        if event.kind in _OF_A_DELEGATE:
            part += event.node <= last or last < 0
            last = event.node
            yield (f"part {part} node {event.node}", event.tag.removeprefix("Delegate/"), XNNPACK), event.elapsed_us
        elif event.kind == OPERATOR:
            is_delegate = "Delegate" in event.tag
            # What is inside of it has events of its own.
            if not (is_delegate and has_inside):
                name = f"{event.tag}_{event.node}"
                yield (name, event.tag, XNNPACK if is_delegate else CPU), event.elapsed_us

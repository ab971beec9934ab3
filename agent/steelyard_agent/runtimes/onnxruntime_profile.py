"""ONNX Runtime's profile: the trace that a session with ``enable_profiling`` writes, summed up by operator.

Chrome's trace format (onnxruntime/core/common/profiler.cc): a list of events with ``cat``, ``name``, ``ts`` and ``dur``
in microseconds. Each inference is a "model_run" of the category "Session"; each kernel an event of "Node" whose name is
the node's with "_kernel_time" behind it. An unnamed node is called by its operator and number: "Conv_12".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from steelyard_agent.worker.profiled import NoProfileError
from steelyard_agent.worker.records import OperatorRecord, OperatorSum, quieter_half

_KERNEL = "_kernel_time"
_RUN = "model_run"
# Their kernels run whole graphs, whose nodes have events of their own.
_CONTAINERS = frozenset({"If", "Loop", "Scan"})


def read_profile(path: Path, call_count: int) -> OperatorSum:
    """Return the operators of the quieter half of the last ``call_count`` inferences of a trace.

    Raises:
        NoProfileError: the file is no trace, or holds fewer inferences.
    """
    try:
        events = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        return sum_up([event for event in events if event.get("ph", "X") == "X"], call_count)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoProfileError(f"ONNX Runtime wrote a profile that cannot be read: {error}") from error


def sum_up(events: Iterable[Mapping[str, Any]], call_count: int) -> OperatorSum:
    """Return the operators of the quieter half of the last ``call_count`` inferences among the events.

    Raises:
        NoProfileError: there are fewer inferences.
    """
    events = list(events)
    runs = sorted(int(event["ts"]) for event in events if event["name"] == _RUN)
    if len(runs) < call_count:
        raise NoProfileError(f"ONNX Runtime profiled {len(runs)} of {call_count} inferences")
    kernels = [
        event
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL) and int(event["ts"]) >= runs[-call_count]
    ]
    kernels.sort(key=lambda event: (int(event["ts"]), -int(event["dur"])))
    timed = list(zip(kernels, _own_times_us(kernels), strict=True))
    begins = [*runs[-call_count:], math.inf]
    inferences = [[pair for pair in timed if begin <= int(pair[0]["ts"]) < end] for begin, end in pairwise(begins)]
    kept = quieter_half([sum(own_us for _, own_us in inference) for inference in inferences])
    pairs = [pair for place in kept for pair in inferences[place]]
    return OperatorSum(operators=_by_operator(pairs), inference_count=len(kept))


def _by_operator(pairs: list[tuple[Mapping[str, Any], int]]) -> tuple[OperatorRecord, ...]:
    sums: dict[tuple[str, str, str], tuple[int, int]] = {}
    for event, own_us in pairs:
        args = event["args"]
        key = (str(event["name"]).removesuffix(_KERNEL), str(args["op_name"]), str(args.get("provider", "")))
        count, total_us = sums.get(key, (0, 0))
        sums[key] = (count + 1, total_us + own_us)
    return tuple(
        OperatorRecord(name=name, kind=kind, provider=provider, call_count=count, total_ns=total_us * 1000)
        for (name, kind, provider), (count, total_us) in sums.items()
    )


def _own_times_us(kernels: list[Mapping[str, Any]]) -> list[int]:
    """Return how long each kernel took, of those that contain others without these; ordered by their start."""
    own = [int(event["dur"]) for event in kernels]
    # Those that are still open, innermost last: (index, end, thread).
    open_containers: list[tuple[int, int, object]] = []
    for index, event in enumerate(kernels):
        start, duration, thread = int(event["ts"]), int(event["dur"]), event.get("tid")
        open_containers = [one for one in open_containers if one[1] >= start + duration]
        around = next((one for one in reversed(open_containers) if one[2] == thread), None)
        if around is not None:
            own[around[0]] = max(0, own[around[0]] - duration)
        if event["args"]["op_name"] in _CONTAINERS:
            open_containers.append((index, start + duration, thread))
    return own

"""OpenVINO's performance counters, summed up by node of its compiled graph.

The CPU plugin tells each node's mean over all inferences since the model was compiled, the first and slow ones among
them, in whole microseconds (intel_cpu/src/perf_count.h). What the warm-up took is therefore taken off again, and a node
that takes less than a microsecond may read 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard_agent.worker.profiled import NoProfileError
from steelyard_agent.worker.records import OperatorRecord, OperatorSum

_EXECUTED = "EXECUTED"
_ORIGIN = "originalLayersNames"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the counters said after some inferences: the mean of each node in microseconds, by its name."""

    call_count: int = 0
    mean_us: Mapping[str, int] = field(default_factory=dict)


def means_us(rows: Iterable[Any]) -> dict[str, int]:
    """Return the mean of each node that ran, as ``ProfilingInfo`` rows tell it."""
    return {str(row.node_name): round(row.real_time.total_seconds() * 1e6) for row in rows if _ran(row)}


def sum_up(
    rows: Iterable[Any],
    *,
    origins: Mapping[str, tuple[str, ...]],
    provider: str,
    before: Counted,
    call_count: int,
) -> OperatorSum:
    """Return the nodes that ran over the ``call_count`` inferences since ``before``.

    ``origins`` are the names of the model's nodes that each node was made of.

    Raises:
        NoProfileError: no node ran, or none was counted.
    """
    rows = [row for row in rows if _ran(row)]
    if not rows:
        raise NoProfileError("OpenVINO counted no node of this model on this device")
    after = means_us(rows)
    totals_us = {
        name: max(0, mean * (before.call_count + call_count) - before.mean_us.get(name, 0) * before.call_count)
        for name, mean in after.items()
    }
    records = tuple(
        OperatorRecord(
            name=str(row.node_name),
            kind=str(row.node_type),
            provider=provider,
            call_count=call_count,
            total_ns=totals_us[str(row.node_name)] * 1000,
            outputs=origins.get(str(row.node_name), ()),
        )
        for row in rows
    )
    return OperatorSum(operators=records, inference_count=call_count)


def original_names(compiled: Any) -> dict[str, tuple[str, ...]]:
    """Return what the nodes of a compiled graph were made of, {} where the plugin does not show its graph."""
    try:
        operators = compiled.get_runtime_model().get_ordered_ops()
    except RuntimeError:
        return {}
    names = {}
    for operator in operators:
        info = operator.get_rt_info()
        if _ORIGIN in info:
            origin = tuple(name for name in str(info[_ORIGIN].value).split(",") if name)
            names[str(operator.get_friendly_name())] = origin
    return names


def _ran(row: Any) -> bool:
    return str(row.status).rpartition(".")[2] == _EXECUTED

"""What whole outputs of a task take: a metric that needs them is refused before a device runs for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from steelyard.errors import UsageError
from steelyard.fleet.blob_servicer import MAX_UPLOAD_BYTES
from steelyard.stats.formatting import format_value
from steelyard.tasks.metrics.contract import Metric
from steelyard.tasks.metrics.device_outputs import QUOTA_BYTES
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2


def check_output_size(
    plan: plan_pb2.Plan, artifacts: Mapping[str, control_pb2.Artifact], task: control_pb2.Task, found: Metric
) -> None:
    """Refuse a task whose metric needs outputs whole where these are too large.

    Args:
        plan: Its artifacts are evaluated.
        artifacts: By digest. Outputs whose shape is open beyond the first dimension are not judged here: the device
            ends with a sentence of its own.
        task: Its samples are counted.
        found: The task's metric.

    Raises:
        UsageError: an artifact's outputs are over its quota, or all of them over what a job may send.
    """
    if found.reduction.reducer != "full":
        return
    each = {
        planned.label: sum(_sample_bytes(one) for one in artifacts[planned.artifact_digest].signature.outputs)
        for planned in plan.artifacts
    }
    for label, sample_bytes in each.items():
        _refuse_beyond(label, sample_bytes, QUOTA_BYTES, task, found)
    _refuse_beyond(f"{len(each)} models", sum(each.values()), MAX_UPLOAD_BYTES, task, found)


def _refuse_beyond(whose: str, sample_bytes: int, quota_bytes: int, task: control_pb2.Task, found: Metric) -> None:
    total_bytes = sample_bytes * task.evaluation_sample_count
    if total_bytes <= quota_bytes:
        return
    most = quota_bytes // sample_bytes
    next_step = f"evaluate {most} samples or fewer" if most else "use a metric that the device reduces, such as top1"
    raise UsageError(
        "outputs_too_large",
        f"{found.kind} needs the outputs of {whose} whole, {format_value(total_bytes, 'B')} for the "
        f"{task.evaluation_sample_count} samples of task {task.name!r}, and {format_value(quota_bytes, 'B')} may be "
        f"sent: {next_step}",
    )


def _sample_bytes(output: common_pb2.TensorSpec) -> int:
    """Return what one sample's share of an output takes; 0 where it cannot be told."""
    sizes = [one.size if one.HasField("size") else 0 for one in output.dimensions[1:]]
    try:
        item_bytes = np.dtype(output.dtype).itemsize
    except TypeError:
        return 0
    return item_bytes * math.prod(sizes)

"""An agent from before modes ignores what it does not know of a plan, and answers another question than was asked."""

from __future__ import annotations

from collections.abc import Iterable

from steelyard.control.job_end import JobEnd
from steelyard.control.mode_plan import mode_word
from steelyard_protocol.v1 import control_pb2, plan_pb2, result_pb2

_SINGLE_STREAM = frozenset({plan_pb2.MODE_UNSPECIFIED, plan_pb2.MODE_SINGLE_STREAM})


def refuse_when_ignored(results: Iterable[result_pb2.RoundResult], plan: plan_pb2.Plan) -> None:
    """End the job when timed blocks ran as single stream or with another batch, although the plan asks for more.

    Agents that know modes state the window of every timed block, and the batch that ran.

    Raises:
        JobEnd: AGENT_ERROR, with what was ignored.
    """
    batches = {one.label: one.batch_size for one in plan.artifacts}
    for result in results:
        if result.pass_kind != result_pb2.PASS_LATENCY:
            continue
        for block in result.blocks:
            ignored = _ignored(block, plan.mode.mode, batches.get(block.label, 0))
            if ignored:
                raise JobEnd(
                    control_pb2.JOB_STATE_AGENT_ERROR,
                    "agent_too_old",
                    f"the device measured {block.label} and ignored {ignored}: update its agent, or leave that out",
                )


def _ignored(block: result_pb2.BlockResult, mode: plan_pb2.Mode.ValueType, batch_size: int) -> str:
    if block.status != result_pb2.BLOCK_STATUS_OK:
        return ""
    if mode not in _SINGLE_STREAM and not block.HasField("window_ns"):
        return f"--mode {mode_word(mode)}"
    return f"--batch {batch_size}" if batch_size > 1 and not block.batch_size else ""

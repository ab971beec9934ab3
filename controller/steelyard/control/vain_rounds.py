"""When a measurement is not worth going on with: nothing of it can run, and repeating does not mend that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard.analysis.validity import first_not_valid, rounds_that_count
from steelyard.control.job_end import JobEnd
from steelyard_protocol.v1 import control_pb2, result_pb2

# Blocks that the device or somebody on it ended: no command line mends them, so they are no usage errors.
_NOT_THE_MODELS_FAULT = frozenset(
    {
        result_pb2.BLOCK_STATUS_KILLED_UNKNOWN,
        result_pb2.BLOCK_STATUS_KILLED_BY_OS,
        result_pb2.BLOCK_STATUS_INTERNAL,
        result_pb2.BLOCK_STATUS_DISK_FULL,
    }
)
# Ends of a block that no repetition changes.
_HOPELESS = frozenset(
    {
        result_pb2.BLOCK_STATUS_INVALID_MODEL,
        result_pb2.BLOCK_STATUS_UNSUPPORTED,
        result_pb2.BLOCK_STATUS_FALLBACK,
        result_pb2.BLOCK_STATUS_RUNTIME_MISSING,
        result_pb2.BLOCK_STATUS_USER_ERROR,
        result_pb2.BLOCK_STATUS_TIMEOUT,
        result_pb2.BLOCK_STATUS_OUT_OF_MEMORY,
    }
)
# What a device says of a pass that its runtime has no way to run; the other passes go on.
_ONLY_THIS_PASS = frozenset({"accuracy_not_measured"})
_VAIN_ROUND_COUNT = 3
_MAY_PASS = frozenset(
    {
        result_pb2.VALIDITY_VERDICT_NOISY,
        result_pb2.VALIDITY_VERDICT_CONTENDED,
        result_pb2.VALIDITY_VERDICT_THROTTLED,
    }
)
# Whether the models run is told by the data set and by the timed rounds.
_TELLS_NOTHING = frozenset(
    {
        result_pb2.PASS_PREPARATION,
        result_pb2.PASS_OPERATORS,
        result_pb2.PASS_NUMERIC,
        result_pb2.PASS_ROOFLINE,
    }
)


def refuse_when_nothing_runs(results: Iterable[result_pb2.RoundResult]) -> None:
    """End the job when no artifact can run: for a reason that repeating does not mend, or three times in a row.

    Raises:
        JobEnd: with what the last block says.
    """
    # A model that could not be prepared says so again in the pass that is about to tell.
    ran = [result for result in results if result.pass_kind not in _TELLS_NOTHING]
    last = ran[-_VAIN_ROUND_COUNT:]
    if not last:
        return
    newest = last[-1].blocks
    hopeless = all(_is_hopeless(block) for block in newest)
    in_vain = len(last) == _VAIN_ROUND_COUNT and not any(_ran(result) or _was_disturbed(result) for result in last)
    if hopeless or in_vain:
        error = newest[0].error
        raise JobEnd(_state_after(newest[0].status), error.reason, error.message)


def refuse_when_nothing_is_valid(rounds: Sequence[result_pb2.RoundResult], because: str) -> None:
    """End the job when measuring stopped without one round that figures may rest on, for want of valid ones.

    Raises:
        JobEnd: INVALID, with why measuring stopped.
    """
    if first_not_valid(rounds) is not None and not rounds_that_count(rounds):
        raise JobEnd(control_pb2.JOB_STATE_INVALID, "not_valid", f"no round was valid: {because}")


def _was_disturbed(result: result_pb2.RoundResult) -> bool:
    """Return whether its blocks ran and were disturbed by something that may go: these are repeated within bounds."""
    return any(block.validity.verdict in _MAY_PASS for block in result.blocks)


def _is_hopeless(block: result_pb2.BlockResult) -> bool:
    return block.status in _HOPELESS and block.error.reason not in _ONLY_THIS_PASS


def _state_after(status: result_pb2.BlockStatus.ValueType) -> control_pb2.JobState.ValueType:
    if status == result_pb2.BLOCK_STATUS_NOT_VALID:
        return control_pb2.JOB_STATE_INVALID
    outside = status in _NOT_THE_MODELS_FAULT
    return control_pb2.JOB_STATE_AGENT_ERROR if outside else control_pb2.JOB_STATE_USER_ERROR


def _ran(result: result_pb2.RoundResult) -> bool:
    """Return whether any artifact got through its block."""
    return any(block.status == result_pb2.BLOCK_STATUS_OK for block in result.blocks)

"""Which artifacts are not run again in a job: a model that never returns must not cost the whole budget."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1.result_pb2 import PASS_EVALUATION, PASS_NUMERIC, PASS_OPERATORS, Pass

# The same will happen again whatever is run: nothing was measured and nothing will be.
_FINAL = frozenset(
    {
        BlockStatus.INVALID_MODEL,
        BlockStatus.UNSUPPORTED,
        BlockStatus.FALLBACK,
        BlockStatus.RUNTIME_MISSING,
        BlockStatus.USER_ERROR,
        BlockStatus.TIMEOUT,
        BlockStatus.OUT_OF_MEMORY,
    }
)
# These may come from the evaluation data, its batch size or its sheer length, and say nothing about one inference.
_MAY_COME_FROM_THE_DATA = frozenset({BlockStatus.USER_ERROR, BlockStatus.TIMEOUT, BlockStatus.OUT_OF_MEMORY})
# What a runtime that has no way to evaluate says of every evaluation; see adb/runner.py.
_NO_EVALUATION = "accuracy_not_measured"
# Passes that ask something else of a model than to run: one that cannot be profiled can be timed.
_BESIDE = frozenset({PASS_OPERATORS, PASS_NUMERIC})
# Killed from outside, crashed, or a bug of ours: it may have been an accident.
_MAX_RETRY_COUNT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a block of an artifact ended when it did not end well."""

    status: BlockStatus
    reason: str
    message: str
    pass_kind: Pass.ValueType


class RetryPolicy:
    """Remembers the failures of one job, by label."""

    def __init__(self) -> None:
        self._failures: dict[str, list[Failure]] = {}

    def record(self, label: str, failure: Failure) -> None:
        """Take note of a block that failed."""
        self._failures.setdefault(label, []).append(failure)

    def verdict(self, label: str, pass_kind: Pass.ValueType) -> Failure | None:
        """Return the failure that forbids another try of this artifact in this pass, None when it may run."""
        failures = [one for one in self._failures.get(label, []) if not _only_concerns_its_pass(one, pass_kind)]
        for failure in failures:
            if failure.status in _FINAL and not _only_concerns_the_data(failure, pass_kind):
                return failure
        accidents = [failure for failure in failures if failure.status not in _FINAL]
        return accidents[-1] if len(accidents) > _MAX_RETRY_COUNT else None


def _only_concerns_its_pass(failure: Failure, pass_kind: Pass.ValueType) -> bool:
    """Return whether a failure says nothing of this pass."""
    return failure.pass_kind in _BESIDE and failure.pass_kind != pass_kind


def _only_concerns_the_data(failure: Failure, pass_kind: Pass.ValueType) -> bool:
    evaluated = failure.pass_kind == PASS_EVALUATION and pass_kind != PASS_EVALUATION
    return evaluated and (failure.status in _MAY_COME_FROM_THE_DATA or failure.reason == _NO_EVALUATION)

"""How a worker ended, from its answer and the evidence."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.ending import Answer, BlockOutcome, Evidence, explain_end, last_line, oom_kill_count
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

RESULT = WorkerResult(runtime_version="1")


@pytest.mark.parametrize(
    ("evidence", "status", "part"),
    [
        (Evidence(return_code=-signal.SIGTERM, timeout_s=60), BlockStatus.TIMEOUT, "60 s.*--block-timeout"),
        (
            Evidence(return_code=-signal.SIGKILL, over_limit_bytes=500, limit_bytes=400),
            BlockStatus.OUT_OF_MEMORY,
            "reached 500 bytes, over the limit of 400",
        ),
        (Evidence(return_code=-signal.SIGKILL, oom_kill_count=1), BlockStatus.OUT_OF_MEMORY, "the kernel ended"),
        (Evidence(return_code=-signal.SIGKILL, oom_kill_count=0), BlockStatus.KILLED_UNKNOWN, "SIGKILL.*loaded"),
        (Evidence(return_code=-signal.SIGKILL), BlockStatus.KILLED_UNKNOWN, "run the job again"),
        (Evidence(return_code=-signal.SIGTERM), BlockStatus.KILLED_UNKNOWN, "SIGTERM"),
        (Evidence(return_code=-signal.SIGSEGV), BlockStatus.CRASHED, "SIGSEGV"),
        (
            Evidence(return_code=-signal.SIGABRT, stderr_tail="a\n\x1b[31mit broke\x1b[m\n\n"),
            BlockStatus.CRASHED,
            "SIGABRT.*: it broke$",
        ),
        (
            Evidence(return_code=-signal.SIGABRT, stderr_tail="what(): std::bad_alloc"),
            BlockStatus.OUT_OF_MEMORY,
            "bad_alloc",
        ),
        (Evidence(return_code=-200), BlockStatus.KILLED_UNKNOWN, "signal 200"),
        (Evidence(return_code=1, stderr_tail="KeyError: 'x'"), BlockStatus.INTERNAL, "exit status 1.*KeyError"),
        (Evidence(return_code=0), BlockStatus.INTERNAL, "exit status 0 and no answer"),
    ],
)
def test_each_end_has_its_status_and_a_sentence(evidence: Evidence, status: BlockStatus, part: str) -> None:
    outcome = explain_end(Answer(phases=["imported", "loaded"]), evidence)
    assert outcome.status is status
    assert outcome.reason
    assert re.search(part, outcome.message)


def test_an_answer_counts_even_when_the_process_fell_over_afterwards() -> None:
    outcome = explain_end(Answer(result=RESULT), Evidence(return_code=-signal.SIGSEGV))
    assert (outcome.status, outcome.result) == (BlockStatus.OK, RESULT)
    assert outcome.notes == ("the worker ended with SIGSEGV after its answer was complete",)
    assert explain_end(Answer(result=RESULT), Evidence(return_code=3)).notes[0].endswith("complete")


def test_a_failure_is_passed_on_as_the_worker_said_it() -> None:
    failure = BlockFailure(BlockStatus.UNSUPPORTED, "unsupported_op", "no op")
    outcome = explain_end(Answer(failure=failure), Evidence(return_code=0))
    assert (outcome.status, outcome.reason, outcome.message) == (BlockStatus.UNSUPPORTED, "unsupported_op", "no op")


def test_nonsense_is_internal_even_after_a_result() -> None:
    outcome = explain_end(Answer(result=RESULT, problem="two answers"), Evidence(return_code=0))
    assert (outcome.status, outcome.reason) == (BlockStatus.INTERNAL, "bad_answer")


def test_an_outcome_is_a_result_or_a_failure() -> None:
    with pytest.raises(ValueError, match="status OK with result None"):
        BlockOutcome(status=BlockStatus.OK)


def test_the_oom_counter_is_read_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("pgfault 5\noom_kill 3\n")
    assert oom_kill_count(tmp_path / "vmstat") == 3
    assert oom_kill_count(tmp_path / "nothing") is None
    (tmp_path / "vmstat").write_text("pgfault 5\n")
    assert oom_kill_count(tmp_path / "vmstat") is None


def test_the_last_line_is_bounded() -> None:
    assert last_line("") == ""
    assert len(last_line("x" * 5000)) == 300

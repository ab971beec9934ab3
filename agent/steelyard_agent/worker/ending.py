"""How a worker process ended, from its answer and from what was seen of it. The supervisor's side; no I/O but /proc."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field
from pathlib import Path

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

# Signals that a process brings upon itself by doing something wrong.
_CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS", "SIGTRAP"})
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_LINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOutcome:
    """How a block ended. ``result`` is set exactly when ``status`` is OK; otherwise ``message`` is one sentence.

    ``wall_ns`` is from the start of the process to its end; ``notes`` holds evidence of how it ended.
    ``least_available_bytes`` is the least memory that the device had available meanwhile, None where it is not told.
    """

    status: BlockStatus
    reason: str = ""
    message: str = ""
    result: WorkerResult | None = None
    started_at_unix_ns: int = 0
    wall_ns: int = 0
    notes: tuple[str, ...] = ()
    least_available_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse an outcome that is neither a result nor a failure."""
        if (self.status is BlockStatus.OK) != (self.result is not None):
            raise ValueError(f"a block of status {self.status.value} with result {self.result!r}")


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a worker said so far; ``problem`` is set when it said something that no worker says."""

    result: WorkerResult | None = None
    failure: BlockFailure | None = None
    problem: str = ""
    phases: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the supervisor saw: why it killed, if it did, and how the process ended.

    ``oom_kill_count`` is how much the kernel's counter rose while the worker lived, None where it is not told;
    ``group_oom_kill_count`` the same of the agent's own cgroup, which is the better evidence where there is one.
    ``least_available_bytes`` is the least memory that the device had available meanwhile.
    ``os_killer`` is what speaks for a policy of the operating system that kills, "" without such evidence.
    """

    return_code: int
    timeout_s: float | None = None
    over_limit_bytes: int | None = None
    limit_bytes: int | None = None
    oom_kill_count: int | None = None
    group_oom_kill_count: int | None = None
    least_available_bytes: int | None = None
    os_killer: str = ""
    stderr_tail: str = ""


def explain_end(answer: Answer, evidence: Evidence) -> BlockOutcome:
    """Return how the block ended; a complete answer counts even when the process fell over afterwards."""
    if evidence.over_limit_bytes is not None:
        return _over_limit(evidence)
    if answer.problem:
        return _failure(BlockStatus.INTERNAL, "bad_answer", f"the worker answered nonsense: {answer.problem}")
    if answer.result is not None or answer.failure is not None:
        return _answered(answer, evidence)
    if evidence.timeout_s is not None:
        return _failure(
            BlockStatus.TIMEOUT,
            "block_timeout",
            f"the block made no progress for {evidence.timeout_s:g} s{_last_phase(answer)} and was ended; "
            "raise --block-timeout if the model needs longer",
        )
    if evidence.return_code < 0:
        return _died_of_signal(answer, evidence)
    return _failure(
        BlockStatus.INTERNAL,
        "no_answer",
        f"the worker ended with exit status {evidence.return_code} and no answer{_last_phase(answer)}"
        f"{_last_words(evidence)}",
    )


def oom_kill_count(path: Path = Path("/proc/vmstat")) -> int | None:
    """Return how many processes the kernel killed for memory since boot, None where it does not tell."""
    try:
        found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


def last_line(text: str) -> str:
    """Return the last line of a log that says something, without colours."""
    lines = [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]
    return lines[-1][-_LONGEST_LINE:] if lines else ""


def _answered(answer: Answer, evidence: Evidence) -> BlockOutcome:
    notes: tuple[str, ...] = ()
    if evidence.return_code != 0:
        how = _signal_name(evidence.return_code) or f"exit status {evidence.return_code}"
        notes = (f"the worker ended with {how} after its answer was complete",)
    if answer.result is not None:
        return BlockOutcome(status=BlockStatus.OK, result=answer.result, notes=notes)
    assert answer.failure is not None
    if answer.failure.status is BlockStatus.OUT_OF_MEMORY:
        notes += _least_available(evidence)
    return _failure(answer.failure.status, answer.failure.reason, str(answer.failure), *notes)


def _died_of_signal(answer: Answer, evidence: Evidence) -> BlockOutcome:
    name = _signal_name(evidence.return_code)
    where = _last_phase(answer)
    if name == "SIGKILL" and (proof := _oom_proof(evidence)):
        return _failure(
            BlockStatus.OUT_OF_MEMORY,
            "oom_killed",
            f"the kernel ended the worker because memory ran out{where}; use a smaller model, batch or input shape",
            proof,
            *_least_available(evidence),
        )
    if name == "SIGKILL" and evidence.os_killer:
        return _failure(
            BlockStatus.KILLED_BY_OS,
            "killed_by_os",
            f"the operating system ended the worker{where}: most likely {evidence.os_killer}; docs/phones.md says how "
            "to keep it from doing so",
            "ended by SIGKILL, not by the agent and not for its memory limit",
        )
    if name == "SIGABRT" and "bad_alloc" in evidence.stderr_tail:
        return _failure(
            BlockStatus.OUT_OF_MEMORY,
            "allocation_failed",
            f"the worker could not get the memory it asked for{where}{_last_words(evidence)}",
            *_least_available(evidence),
        )
    if name in _CRASHES:
        return _failure(
            BlockStatus.CRASHED, name.lower(), f"the worker crashed with {name}{where}{_last_words(evidence)}"
        )
    told = "unknown" if evidence.oom_kill_count is None else evidence.oom_kill_count
    elsewhere = ", none of the agent's cgroup" if evidence.oom_kill_count and evidence.group_oom_kill_count == 0 else ""
    return _failure(
        BlockStatus.KILLED_UNKNOWN,
        "killed",
        f"the worker was ended from outside with {name}{where}; run the job again",
        f"not by the agent; processes that the kernel killed for memory meanwhile: {told}{elsewhere}",
        *_least_available(evidence),
    )


def _oom_proof(evidence: Evidence) -> str:
    """Return what proves that the kernel killed for memory, "" where nothing does.

    The system's counter alone proves nothing where our own group's stood still: a neighbour ran out of its memory then.
    """
    if evidence.group_oom_kill_count is not None:
        rose = evidence.group_oom_kill_count
        return f"oom_kill of the agent's cgroup rose by {rose} while the worker ran" if rose else ""
    if evidence.oom_kill_count:
        return f"oom_kill in /proc/vmstat rose by {evidence.oom_kill_count} while the worker ran"
    return ""


def _least_available(evidence: Evidence) -> tuple[str, ...]:
    if evidence.least_available_bytes is None:
        return ()
    return (f"the device had {evidence.least_available_bytes} bytes available at the least",)


def _over_limit(evidence: Evidence) -> BlockOutcome:
    return _failure(
        BlockStatus.OUT_OF_MEMORY,
        "memory_limit",
        f"the worker's resident set reached {evidence.over_limit_bytes} bytes, over the limit of "
        f"{evidence.limit_bytes}, and was ended; use a smaller model, batch or input shape",
        f"resident set {evidence.over_limit_bytes} bytes seen from outside",
        *_least_available(evidence),
    )


def _failure(status: BlockStatus, reason: str, message: str, *notes: str) -> BlockOutcome:
    return BlockOutcome(status=status, reason=reason, message=message, notes=notes)


def _signal_name(return_code: int) -> str:
    if return_code >= 0:
        return ""
    try:
        return signal.Signals(-return_code).name
    except ValueError:
        return f"signal {-return_code}"


def _last_phase(answer: Answer) -> str:
    return f" (last phase that it finished: {answer.phases[-1] if answer.phases else 'none'})"


def _last_words(evidence: Evidence) -> str:
    line = last_line(evidence.stderr_tail)
    return f": {line}" if line else ""

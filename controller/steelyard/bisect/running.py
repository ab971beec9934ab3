"""Running a bisection: compare, note the answer, ask about the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from steelyard.bisect.candidates import Candidate
from steelyard.bisect.records import BisectRecord, Comparison
from steelyard.bisect.search import Answer, Ask, Step, next_step
from steelyard.errors import SteelyardError
from steelyard.gate.conditions import Condition
from steelyard.nightly.errors import is_gone
from steelyard.nightly.side_by_side import measure_side_by_side
from steelyard.series.judgements import ConfirmationKind

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.control.job_handle import JobHandle
    from steelyard.control.plans import MeasurementOptions
    from steelyard_protocol.v1 import control_pb2

_ANSWERS = {
    ConfirmationKind.CONFIRMED: Answer.BAD,
    ConfirmationKind.NOT_REPRODUCED: Answer.GOOD,
    ConfirmationKind.IMPROVED: Answer.GOOD,
    ConfirmationKind.UNDECIDED: Answer.SKIPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """What is searched, on which device, and what makes a candidate bad beside the first one.

    ``options.budget_s`` is the device time of each comparison.
    """

    candidates: tuple[Candidate, ...]
    condition: Condition
    device: str
    options: MeasurementOptions
    task: str = ""


def run_bisection(
    client: Client,
    bisection: Bisection,
    record: BisectRecord,
    *,
    follow: Callable[[JobHandle, str], object],
    tell: Callable[[Comparison], object] = lambda comparison: None,
) -> Step:
    """Compare until the first bad candidate is found, or nothing is left to ask; return how it ended.

    Each answer is kept in ``record`` before the next comparison begins.

    Raises:
        SteelyardError: the controller cannot be reached; answers so far are kept.
    """
    while isinstance(step := next_step(len(bisection.candidates), record.answers), Ask):
        comparison = _compare(client, bisection, step.index, follow)
        record.add(comparison)
        tell(comparison)
    return step


def _compare(
    client: Client, bisection: Bisection, index: int, follow: Callable[[JobHandle, str], object]
) -> Comparison:
    good, other = bisection.candidates[0], bisection.candidates[index]
    if (good.digest, good.environment) == (other.digest, other.environment):
        return Comparison(index=index, answer=Answer.GOOD, reason="the same bytes as the first one", job_id="")
    artifacts = _artifacts(client, (good, other))
    task = client.add_task(bisection.task, artifacts[0]) if bisection.task else None
    title = f"bisect: {good.name} and {other.name}"
    options = replace(bisection.options, title=title)
    if other.environment:
        options = replace(options, vary={"env": (good.environment, other.environment)})
    else:
        options = replace(options, labels=("good", f"#{index}"))
    try:
        compared = measure_side_by_side(
            client,
            artifacts,
            [bisection.condition.rule],
            device=bisection.device,
            options=options,
            task=task,
            follow=lambda handle: follow(handle, title),
        )
    except SteelyardError as error:
        if is_gone(error):
            # Nothing of the candidate; an answer that is kept would never be asked for again.
            raise
        return Comparison(index=index, answer=Answer.SKIPPED, reason=str(error), job_id="")
    outcome = compared.outcomes[bisection.condition.metric]
    if isinstance(outcome, str):
        return Comparison(index=index, answer=Answer.SKIPPED, reason=outcome, job_id=compared.job_id)
    answer = _ANSWERS[outcome.kind]
    if answer is Answer.BAD and bisection.condition.allows(outcome):
        answer = Answer.GOOD
    return Comparison(index=index, answer=answer, reason=outcome.reason, job_id=compared.job_id)


def _artifacts(client: Client, candidates: Sequence[Candidate]) -> list[control_pb2.Artifact]:
    if candidates[-1].environment:
        return [client.artifact(candidates[0].digest)]
    return [client.artifact(one.digest) for one in candidates]

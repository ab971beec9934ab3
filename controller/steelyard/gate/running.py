"""Running a gate: each pair on each device as one job, within the budget of device time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from steelyard.errors import SteelyardError
from steelyard.gate.conditions import Condition
from steelyard.gate.gate_report import GateLine, GateReport, LineKind
from steelyard.gate.pairs import ModelPair, Pairs
from steelyard.nightly.errors import is_gone
from steelyard.nightly.side_by_side import SideBySide, measure_side_by_side
from steelyard.series.judgements import ConfirmationKind, ConfirmationOutcome

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.control.job_handle import JobHandle
    from steelyard.control.plans import MeasurementOptions
    from steelyard_protocol.v1 import control_pb2

_KINDS = {
    ConfirmationKind.CONFIRMED: LineKind.FAILED,
    ConfirmationKind.NOT_REPRODUCED: LineKind.FINE,
    ConfirmationKind.IMPROVED: LineKind.FINE,
    ConfirmationKind.UNDECIDED: LineKind.UNDECIDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What to compare, where, and what fails it. ``options.budget_s`` is the device time of the whole gate."""

    pairs: Pairs
    devices: tuple[str, ...]
    conditions: tuple[Condition, ...]
    options: MeasurementOptions
    task: str = ""


def run_gate(
    client: Client,
    gate: Gate,
    *,
    resolve: Callable[[Client, str], control_pb2.Artifact],
    follow: Callable[[JobHandle, str], object],
    names: tuple[str, str],
) -> GateReport:
    """Measure every pair on every device, one after the other, and judge it.

    What could not be measured is a line that says so.

    Args:
        client: Of the controller whose devices measure.
        gate: What to compare.
        resolve: Returns the artifact of a file or a name.
        follow: Waits for a job under a title.
        names: Base and head as they were typed.

    Raises:
        SteelyardError: the controller cannot be reached, or a model of base or head cannot be read.
    """
    count = max(1, len(gate.pairs.pairs) * len(gate.devices))
    options = replace(gate.options, budget_s=gate.options.budget_s / count)
    lines: list[GateLine] = []
    for pair in gate.pairs.pairs:
        for device in gate.devices:
            lines += _lines_of(client, replace(gate, options=options), pair, device, resolve, follow)
    return GateReport(
        base=names[0],
        head=names[1],
        lines=tuple(lines),
        notes=tuple(_notes(gate.pairs)),
        controller=client.controller().controller_id,
        same_count=len(gate.pairs.same),
    )


def _lines_of(
    client: Client,
    gate: Gate,
    pair: ModelPair,
    device: str,
    resolve: Callable[[Client, str], control_pb2.Artifact],
    follow: Callable[[JobHandle, str], object],
) -> list[GateLine]:
    artifacts = [resolve(client, one) for one in (pair.base, pair.head)]
    task = client.add_task(gate.task, artifacts[0]) if gate.task else None
    options = replace(gate.options, labels=("base", "head"), title=f"gate: {pair.name}")
    try:
        compared = measure_side_by_side(
            client,
            artifacts,
            [one.rule for one in gate.conditions],
            device=device,
            options=options,
            task=task,
            follow=lambda handle: follow(handle, f"{pair.name} on {device}"),
        )
    except SteelyardError as error:
        if is_gone(error):
            raise
        return [_not_measured(pair, device, one, str(error)) for one in gate.conditions]
    return [_line(pair, compared, one) for one in gate.conditions]


def _line(pair: ModelPair, compared: SideBySide, condition: Condition) -> GateLine:
    outcome = compared.outcomes[condition.metric]
    if isinstance(outcome, str):
        return replace(_not_measured(pair, compared.device, condition, outcome), job_id=compared.job_id)
    kind, reason = _kind(outcome, condition)
    return GateLine(
        model=pair.name,
        device=compared.device,
        condition=condition.text,
        metric=condition.metric,
        kind=kind,
        reason=reason,
        unit=condition.rule.unit,
        before=outcome.before,
        after=outcome.after,
        ratio=outcome.ratio,
        low=outcome.low,
        high=outcome.high,
        ratio_unit=outcome.unit,
        confidence=outcome.confidence,
        round_count=outcome.round_count,
        job_id=compared.job_id,
        text_before=outcome.text_before,
        text_after=outcome.text_after,
    )


def _kind(outcome: ConfirmationOutcome, condition: Condition) -> tuple[LineKind, str]:
    kind = _KINDS[outcome.kind]
    if kind is LineKind.FAILED and condition.allows(outcome):
        return LineKind.FINE, f"{outcome.reason}; that is within {condition.text}"
    return kind, outcome.reason


def _not_measured(pair: ModelPair, device: str, condition: Condition, reason: str) -> GateLine:
    return GateLine(
        model=pair.name,
        device=device,
        condition=condition.text,
        metric=condition.metric,
        kind=LineKind.NOT_MEASURED,
        reason=reason,
        unit=condition.rule.unit,
    )


def _notes(pairs: Pairs) -> Iterator[str]:
    for names, words in (
        (pairs.only_head, "new in head, with nothing to compare it with"),
        (pairs.only_base, "gone in head"),
        (pairs.same, "the same bytes on both sides"),
    ):
        yield from _note(names, words)


def _note(names: Sequence[str], words: str) -> Iterator[str]:
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield f"{shown}: {words}"

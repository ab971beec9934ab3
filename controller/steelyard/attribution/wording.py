"""How sure a cause is and why, in one sentence with its counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from steelyard.attribution.boards import SuspectBoard
from steelyard.attribution.differences import words_of
from steelyard.attribution.survey import Cell
from steelyard.attribution.suspects import Suspect
from steelyard.nightly.night_findings import Cause, EnvironmentDifference

# Beyond these a title is no title any more.
_MAX_TOLD = 3


def title_of(differences: Sequence[EnvironmentDifference], model: str = "") -> str:
    """Return what changed, and of which model where it is of one only."""
    words = ", ".join(words_of(one) for one in differences[:_MAX_TOLD])
    more = f" and {len(differences) - _MAX_TOLD} more" if len(differences) > _MAX_TOLD else ""
    return f"{words}{more}{f' ({model})' if model else ''}"


def because_proven(suspect: Suspect, cause: Cause, hits: Sequence[Cell]) -> str:
    """Return what a confirmation proved, and of how many of the cells."""
    proof = f"proven: with the old {cause.value} put back beside the new one, it was as good as before"
    count = _of(len(suspect.proven), len(hits), "worse cell")
    return f"{proof} in {count}; {_counts(suspect)}"


def because_likely(suspect: Suspect) -> str:
    """Return why a suspect is likely to be the cause."""
    alone = "; nothing else that is known changed there" if suspect.is_all_that_changed else ""
    return f"likely: {_counts(suspect)}{alone}"


def because_confounded(suspect: Suspect, told: Sequence[EnvironmentDifference]) -> str:
    """Return why it cannot be told which of several changes it was."""
    named = " and ".join(words_of(one) for one in told[:_MAX_TOLD])
    return (
        f"not known: {named} came together; {_of(len(suspect.evidence.hits), suspect.evidence.exposed_count, 'cell')} "
        "with them got worse, and nothing tells which of them it was"
    )


def because_board(board: SuspectBoard) -> str:
    """Return why it is the board."""
    evidence = board.evidence
    models = len({cell.model for cell in evidence.hits})
    elsewhere = (
        "no other device was measured"
        if evidence.other_count == 0
        else f"elsewhere {_share(evidence.other_hit_count, evidence.other_count)} did"
    )
    return (
        f"likely the board: {_of(len(evidence.hits), evidence.exposed_count, 'cell')} on {board.device} got worse, of "
        f"{models} models, without a known change; {elsewhere}"
    )


def because_nothing_changed(count: int, all_count: int) -> str:
    """Return why nothing can be said of cells without a difference."""
    return (
        f"not known: {_of(count, all_count, 'cell')} got worse though model, runtime, system and device are as they "
        "were on the last good night"
    )


def because_unclear(
    differences: Sequence[EnvironmentDifference], members: Sequence[Cell], cells: Collection[Cell]
) -> str:
    """Return why none of several changes is named."""
    named = ", ".join(words_of(one) for one in differences[:_MAX_TOLD])
    alike = [cell for cell in cells if not cell.is_worse and cell.differences & frozenset(differences)]
    steady = f"; {len(alike)} cells with some of it are steady" if alike else ""
    return f"not known: {named} changed in {_plural(len(members), 'cell')} that got worse{steady}"


def _counts(suspect: Suspect) -> str:
    evidence = suspect.evidence
    whose = f" of {suspect.model}" if suspect.model else ""
    count = _of(len(evidence.hits), evidence.exposed_count, "cell")
    inside = f"{count}{whose} with {title_of(suspect.differences)} got worse"
    if evidence.other_count == 0:
        return f"{inside}, and there is no cell without it to compare with"
    return f"{inside}, of the others {_share(evidence.other_hit_count, evidence.other_count)}"


def _share(count: int, all_count: int) -> str:
    return f"none of {all_count}" if count == 0 else f"{count} of {all_count}"


def _of(count: int, all_count: int, what: str) -> str:
    return f"{count} of {_plural(all_count, what)}"


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

"""Groups what got worse by its likely cause; where evidence is missing the cause is unknown, and says why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from steelyard.attribution.boards import SuspectBoard, suspect_boards
from steelyard.attribution.differences import cause_of
from steelyard.attribution.survey import Cell, Surveyed, cells_of
from steelyard.attribution.suspects import Suspect, rivals, suspects
from steelyard.attribution.wording import (
    because_board,
    because_confounded,
    because_likely,
    because_nothing_changed,
    because_proven,
    because_unclear,
    title_of,
)
from steelyard.nightly.night_findings import Cause, CauseGroup, EnvironmentDifference, Finding
from steelyard.triage.tonight import DeviceTrouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Every finding in exactly one group, the largest groups first; and the devices that are themselves the cause."""

    groups: tuple[CauseGroup, ...]
    troubles: tuple[DeviceTrouble, ...]


def attribute(surveyed: Iterable[Surveyed]) -> Attribution:
    """Group the findings of a night.

    What a confirmation proved goes first; then boards; then what explains best which cells got worse (Fisher's exact
    test over cells; greedily, each cell once); then cells in which only one thing changed. The rest is unknown.
    """
    rest = cells_of(surveyed)
    groups: list[CauseGroup] = []
    rest = _by_difference(rest, groups, only_proven=True)
    boards = suspect_boards(rest)
    for board in boards:
        groups.append(_board_group(board))
        rest = _without(rest, board.evidence.hits)
    rest = _by_difference(rest, groups, only_proven=False)
    groups += _unknown_groups([cell for cell in rest if cell.is_worse], rest)
    groups.sort(key=lambda group: (group.cause is Cause.UNKNOWN, -len(group.findings)))
    troubles = tuple(
        DeviceTrouble(device_id=board.device_id, device=board.device, sentence=because_board(board)) for board in boards
    )
    return Attribution(groups=tuple(groups), troubles=troubles)


def _by_difference(cells: tuple[Cell, ...], groups: list[CauseGroup], *, only_proven: bool) -> tuple[Cell, ...]:
    """Add a group for the best suspect, again and again; returns the cells that are left."""
    while True:
        found = suspects(cells)
        chosen = next((one for one in found if one.proven or (one.is_likely and not only_proven)), None)
        if chosen is None:
            return cells
        # Where the counts speak for it as well, what was not confirmed goes with what was.
        hits = chosen.evidence.hits if chosen.is_likely else chosen.proven
        groups.append(_suspect_group(chosen, hits, found))
        cells = _without(cells, hits)


def _suspect_group(suspect: Suspect, hits: Sequence[Cell], others: Sequence[Suspect]) -> CauseGroup:
    proven = suspect.proven_cause
    if proven is not None:
        told: Sequence[EnvironmentDifference] = [one for one in suspect.differences if cause_of(one) is proven]
        cause, because = proven, because_proven(suspect, proven, hits)
    else:
        told = [*suspect.differences, *rivals(suspect, others)]
        causes = {cause_of(one) for one in told}
        cause = causes.pop() if len(causes) == 1 else Cause.UNKNOWN
        because = because_likely(suspect) if cause is not Cause.UNKNOWN else because_confounded(suspect, told)
    return CauseGroup(
        cause=cause,
        title=title_of(told, suspect.model),
        because=because,
        findings=_findings(hits),
        differences=(*told, *(one for one in suspect.differences if one not in told)),
    )


def _board_group(board: SuspectBoard) -> CauseGroup:
    return CauseGroup(
        cause=Cause.BOARD,
        title=f"device {board.device}",
        because=because_board(board),
        findings=_findings(board.evidence.hits),
    )


def _unknown_groups(worse: Sequence[Cell], cells: Collection[Cell]) -> list[CauseGroup]:
    """Return a group of the cells in which nothing is known to have changed, and one of each other set of changes."""
    unchanged = [cell for cell in worse if not cell.differences]
    groups = []
    if unchanged:
        groups.append(
            CauseGroup(
                cause=Cause.UNKNOWN,
                title="nothing known changed",
                because=because_nothing_changed(len(unchanged), len(cells)),
                findings=_findings(unchanged),
            )
        )
    by_differences: dict[frozenset[object], list[Cell]] = {}
    for cell in worse:
        if cell.differences:
            by_differences.setdefault(frozenset(cell.differences), []).append(cell)
    for members in by_differences.values():
        differences = tuple(sorted(members[0].differences, key=lambda one: one.name))
        groups.append(
            CauseGroup(
                cause=Cause.UNKNOWN,
                title=title_of(differences),
                because=because_unclear(differences, members, cells),
                findings=_findings(members),
                differences=differences,
            )
        )
    return groups


def _findings(cells: Iterable[Cell]) -> tuple[Finding, ...]:
    return tuple(finding for cell in cells for finding in cell.findings)


def _without(cells: Iterable[Cell], explained: Collection[Cell]) -> tuple[Cell, ...]:
    keys = {cell.key for cell in explained}
    return tuple(cell for cell in cells if cell.key not in keys)

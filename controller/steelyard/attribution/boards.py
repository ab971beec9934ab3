"""A board of which many models got worse, though nothing of them changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from steelyard.attribution.differences import Kind, kind_of
from steelyard.attribution.evidence import Evidence, Field
from steelyard.attribution.survey import Cell

_LIKELY_P = 0.05
_LIKELY_SHARE = 0.5
# Two models of one family may share what makes them slower; with other boards beside it two are enough.
_LEAST_MODELS, _LEAST_MODELS_ALONE = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectBoard:
    """A device and the evidence that it is the device."""

    device_id: str
    device: str
    evidence: Evidence


def suspect_boards(cells: Collection[Cell]) -> list[SuspectBoard]:
    """Return the boards that are likely to be the cause of what got worse on them, the clearest first.

    A hit is a worse cell of which nothing is known to have changed but the board itself. One whose model or runtime was
    put back with success is none: it was compared on the same board within minutes.
    """
    unchanged = [cell for cell in cells if not cell.is_worse or _only_board(cell)]
    field = Field(unchanged)
    device_ids = dict.fromkeys(cell.device_id for cell in unchanged if cell.is_worse)
    found = []
    for device_id in device_ids:
        exposed = {cell.key for cell in unchanged if cell.device_id == device_id}
        evidence = field.weigh(exposed)
        if _is_likely(evidence):
            found.append(SuspectBoard(device_id=device_id, device=evidence.hits[0].device, evidence=evidence))
    return sorted(found, key=lambda one: one.evidence.p_value)


def _only_board(cell: Cell) -> bool:
    return not cell.put_back and all(kind_of(one.name) is Kind.BOARD for one in cell.differences)


def _is_likely(evidence: Evidence) -> bool:
    models = len({cell.model for cell in evidence.hits})
    if evidence.share < _LIKELY_SHARE:
        return False
    if evidence.other_count == 0:
        return models >= _LEAST_MODELS_ALONE
    return models >= _LEAST_MODELS and evidence.p_value <= _LIKELY_P

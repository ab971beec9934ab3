"""What may have made cells worse: differences that lie in exactly the same cells, all of them or those of a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from steelyard.attribution.differences import cause_of
from steelyard.attribution.evidence import Evidence, Field
from steelyard.attribution.survey import Cell, CellKey
from steelyard.nightly.night_findings import Cause, EnvironmentDifference

_LIKELY_P = 0.05
# A part is chosen because it looks bad: that needs more evidence.
_LIKELY_P_OF_PART = 0.01
_LIKELY_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Differences that cannot be told apart by where they are, weighed; ``model`` "" for all models with them."""

    differences: tuple[EnvironmentDifference, ...]
    exposed: frozenset[CellKey]
    evidence: Evidence
    model: str = ""

    @property
    def causes(self) -> frozenset[Cause]:
        """The causes that these would be."""
        return frozenset(cause_of(one) for one in self.differences)

    @property
    def proven_cause(self) -> Cause | None:
        """What confirmations put back with success in the hits, most often where several; None where in none."""
        proofs = [cause for cell in self.evidence.hits for cause in sorted(cell.put_back & self.causes, key=str)]
        return max(proofs, key=proofs.count, default=None)

    @property
    def proven(self) -> tuple[Cell, ...]:
        """The hits that were as good as before when what this is was put back."""
        cause = self.proven_cause
        return tuple(cell for cell in self.evidence.hits if cause in cell.put_back)

    @property
    def is_all_that_changed(self) -> bool:
        """Whether nothing else changed in any of the hits."""
        return all(cell.differences <= frozenset(self.differences) for cell in self.evidence.hits)

    @property
    def is_likely(self) -> bool:
        """Whether the counts speak for it: where it is more got worse than elsewhere, or all else stayed as it was."""
        evidence, least = self.evidence, 2 if self.model else 1
        by_contrast = len(evidence.hits) >= 2 and evidence.p_value <= (_LIKELY_P_OF_PART if self.model else _LIKELY_P)
        alone = self.is_all_that_changed and evidence.share >= _LIKELY_SHARE and len(evidence.hits) >= least
        return by_contrast or alone

    @property
    def rank(self) -> tuple[int, bool, float, int]:
        """How well it explains, the best lowest: proven, of all models rather than one, not by chance, most hits."""
        return (-len(self.proven), bool(self.model), self.evidence.p_value, -len(self.evidence.hits))


def suspects(cells: Collection[Cell]) -> list[Suspect]:
    """Return every suspect with a hit among the cells, the best first."""
    field, found = Field(cells), []
    for exposed, differences in _by_exposure(cells).items():
        causes = frozenset(cause_of(one) for one in differences)
        whole = Suspect(differences=differences, exposed=exposed, evidence=field.weigh(exposed, may_be=causes))
        models = {cell.model for cell in whole.evidence.hits}
        if not models:
            continue
        found.append(whole)
        for model in sorted(models) if len({key[0] for key in exposed}) > 1 else ():
            part = frozenset(key for key in exposed if key[0] == model)
            evidence = field.weigh(part, may_be=causes)
            found.append(Suspect(differences=differences, exposed=part, evidence=evidence, model=model))
    return sorted(found, key=lambda one: one.rank)


def rivals(suspect: Suspect, others: Iterable[Suspect]) -> tuple[EnvironmentDifference, ...]:
    """Return differences of another cause that lie in all hits of a suspect and explain them as well."""
    hits = {cell.key for cell in suspect.evidence.hits}
    found: dict[EnvironmentDifference, None] = {}
    for other in others:
        explains = not other.model and hits <= other.exposed and other.evidence.share >= _LIKELY_SHARE
        if explains and other.exposed != suspect.exposed:
            found.update(dict.fromkeys(one for one in other.differences if {cause_of(one)} != suspect.causes))
    return tuple(found)


def _by_exposure(cells: Collection[Cell]) -> dict[frozenset[CellKey], tuple[EnvironmentDifference, ...]]:
    suspected = {difference for cell in cells if cell.is_worse for difference in cell.differences}
    where: dict[EnvironmentDifference, set[CellKey]] = {}
    for cell in cells:
        for difference in cell.differences & suspected:
            where.setdefault(difference, set()).add(cell.key)
    found: dict[frozenset[CellKey], list[EnvironmentDifference]] = {}
    for difference in sorted(where, key=lambda one: one.name):
        found.setdefault(frozenset(where[difference]), []).append(difference)
    return {exposed: tuple(differences) for exposed, differences in found.items()}

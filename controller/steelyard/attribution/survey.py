"""What a night knows of each series that could be judged, and the cells that these make up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steelyard.nightly.night_findings import Cause, EnvironmentDifference, Finding, SeriesName


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """One series that could be judged tonight.

    Attributes:
        series: Which one.
        differences: Of a series that got worse, between its last good and its first bad night; of a steady one, between
            its environment before the first of those changes and now.
        finding: What got worse; None: nothing did. One that nobody knows of (only suspected) is better left out.
        put_back: Where a confirmation put something back and the series was as good as before: what, MODEL or RUNTIME.
    """

    series: SeriesName
    differences: tuple[EnvironmentDifference, ...] = ()
    finding: Finding | None = None
    put_back: Cause | None = None

    def __post_init__(self) -> None:
        """Refuse what no confirmation puts back, and a proof of nothing."""
        if self.put_back not in (None, Cause.MODEL, Cause.RUNTIME):
            raise ValueError(f"a confirmation puts back a model or a runtime, not {self.put_back}")
        if self.put_back is not None and self.finding is None:
            raise ValueError(f"{self.series.model} is steady: a confirmation proves nothing of it")


CellKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A model on a device under a runtime: its metrics come from the same runs, and count as one.

    ``put_back`` holds what confirmations put back successfully, of any metric.
    """

    key: CellKey
    device: str
    differences: frozenset[EnvironmentDifference]
    findings: tuple[Finding, ...]
    put_back: frozenset[Cause]

    @property
    def model(self) -> str:
        """The suite's name of the model."""
        return self.key[0]

    @property
    def device_id(self) -> str:
        """The id of the device."""
        return self.key[1]

    @property
    def is_worse(self) -> bool:
        """Whether any of its metrics is."""
        return bool(self.findings)


def cells_of(surveyed: Iterable[Surveyed]) -> tuple[Cell, ...]:
    """Return the cells in the order of their first series; a worse one has the differences of what is worse."""
    members: dict[CellKey, list[Surveyed]] = {}
    for one in surveyed:
        members.setdefault((one.series.model, one.series.device_id, one.series.runtime), []).append(one)
    return tuple(_cell(key, ones) for key, ones in members.items())


def _cell(key: CellKey, members: Sequence[Surveyed]) -> Cell:
    worse = [one for one in members if one.finding is not None]
    told = worse or members
    return Cell(
        key=key,
        device=members[0].series.device,
        differences=frozenset(difference for one in told for difference in one.differences),
        findings=tuple(one.finding for one in worse if one.finding is not None),
        put_back=frozenset(one.put_back for one in worse if one.put_back is not None),
    )

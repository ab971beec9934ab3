"""What a device measures tonight, in which order and how many rounds, within its budget of device minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.suites.cells import Cell

# Rounds are even, so that each of two artifacts goes first as often as the other, should the cell be compared.
_ROUND_STEP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCost:
    """What a cell takes on its device: a start (sending, loading, scoring), and each round."""

    start_s: float
    round_s: float
    # Whether it was seen on a past night, or is what the plan says.
    is_measured: bool = False

    def __post_init__(self) -> None:
        """Refuse what takes no time."""
        if self.start_s < 0.0 or self.round_s <= 0.0:
            raise ValueError(f"a start of {self.start_s} s and rounds of {self.round_s} s are no cost of a cell")

    def seconds(self, round_count: int) -> float:
        """Return what so many rounds take."""
        return self.start_s + round_count * self.round_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Device seconds of one device, and what of them is spoken for.

    ``sentinel_s`` is what the sentinel takes, start and end together; ``confirmation_share`` is kept for confirmations.
    """

    total_s: float
    sentinel_s: float = 0.0
    confirmation_share: float = 0.0

    @property
    def confirmations_s(self) -> float:
        """What confirmations may take at least."""
        return max(0.0, self.total_s * self.confirmation_share)

    @property
    def cells_s(self) -> float:
        """What is left for the cells."""
        return max(0.0, self.total_s - self.confirmations_s - self.sentinel_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A cell that is not measured tonight, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """One device's night: the cells in their order, each with as many rounds."""

    cells: tuple[Cell, ...]
    round_count: int
    estimated_s: float
    left_out: tuple[LeftOut, ...] = ()


def plan_device(
    cells: Sequence[Cell],
    costs: Mapping[Cell, CellCost],
    budget: Budget,
    *,
    last_nights: Mapping[Cell, int],
    min_rounds: int,
    max_rounds: int,
) -> DevicePlan:
    """Plan one device's night.

    All cells are measured with as many rounds as fit, the same number each, so that no series is noisier than its
    neighbour because of its place in the file. Where not even the least rounds of all fit, those that were measured
    longest ago come first (never measured ones before all others), so that every cell has its turn.

    Args:
        cells: Of this device, in the suite's order.
        costs: Of each of them.
        budget: The device's.
        last_nights: The number of the last night that measured a cell; without an entry it never was.
        min_rounds: Fewer say nothing.
        max_rounds: More are not worth it.
    """
    rounds = _rounds_that_fit(cells, costs, budget.cells_s, min_rounds, max_rounds)
    taken, left = list(cells), list[Cell]()
    if rounds is None:
        rounds = min_rounds
        taken, left = _rotated(cells, costs, budget.cells_s, last_nights, min_rounds)
    return DevicePlan(
        cells=tuple(taken),
        round_count=rounds,
        estimated_s=sum(costs[cell].seconds(rounds) for cell in taken) + (budget.sentinel_s if taken else 0.0),
        left_out=tuple(
            LeftOut(cell=cell, reason=_reason(cell, costs, budget, last_nights, min_rounds)) for cell in left
        ),
    )


def _rounds_that_fit(
    cells: Sequence[Cell], costs: Mapping[Cell, CellCost], room_s: float, min_rounds: int, max_rounds: int
) -> int | None:
    """Return the most rounds with which every cell fits, None where not even the least do."""
    starts = sum(costs[cell].start_s for cell in cells)
    rounds_s = sum(costs[cell].round_s for cell in cells)
    if not cells:
        return max_rounds
    most = int((room_s - starts) // rounds_s)
    if most < min_rounds:
        return None
    even = most - most % _ROUND_STEP
    return min(max_rounds, max(min_rounds, even))


def _rotated(
    cells: Sequence[Cell], costs: Mapping[Cell, CellCost], room_s: float, last_nights: Mapping[Cell, int], rounds: int
) -> tuple[list[Cell], list[Cell]]:
    waiting = sorted(range(len(cells)), key=lambda at: (last_nights.get(cells[at], -1), at))
    chosen: set[int] = set()
    for at in waiting:
        seconds = costs[cells[at]].seconds(rounds)
        if seconds <= room_s:
            chosen.add(at)
            room_s -= seconds
    # Measured in the suite's order: neighbours share a model, which is then sent once.
    return [cells[at] for at in sorted(chosen)], [cells[at] for at in range(len(cells)) if at not in chosen]


def _reason(
    cell: Cell, costs: Mapping[Cell, CellCost], budget: Budget, last_nights: Mapping[Cell, int], rounds: int
) -> str:
    needed = costs[cell].seconds(rounds)
    if needed > budget.cells_s:
        return (
            f"{rounds} rounds take {needed / 60:.1f} min, more than the {budget.cells_s / 60:.1f} min of the device's "
            "budget that are left for cells; raise the budget or lower min_rounds"
        )
    last = last_nights.get(cell)
    seen = f"last measured in night {last}" if last is not None else "never measured yet"
    return f"the budget of {budget.total_s / 60:.0f} min is full tonight; {seen}, its turn comes"

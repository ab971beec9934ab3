"""Plans of a night: as many rounds as fit, the same for each cell; else a fair turn for every one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steelyard.suites.cells import Cell
from steelyard.suites.estimating import learnt_cost
from steelyard.suites.planning import Budget, CellCost, DevicePlan, plan_device

COST = CellCost(start_s=2.0, round_s=1.0)


def cells(count: int) -> list[Cell]:
    return [Cell(model=f"m{number}", device_id="d", runtime="cpu") for number in range(count)]


def plan(count: int, budget: Budget, last_nights: dict[Cell, int] | None = None, *, most: int = 20) -> DevicePlan:
    chosen = cells(count)
    costs = dict.fromkeys(chosen, COST)
    return plan_device(chosen, costs, budget, last_nights=last_nights or {}, min_rounds=6, max_rounds=most)


def test_what_fits_is_measured_with_the_most_rounds() -> None:
    made = plan(4, Budget(total_s=1000.0))
    assert (len(made.cells), made.round_count, made.left_out) == (4, 20, ())
    assert made.estimated_s == 4 * (2.0 + 20.0)


def test_fewer_rounds_come_before_fewer_cells_and_are_even() -> None:
    made = plan(10, Budget(total_s=115.0))
    assert (len(made.cells), made.round_count) == (10, 8)


def test_a_share_is_kept_for_confirmations_and_the_sentinel_counts() -> None:
    budget = Budget(total_s=120.0, sentinel_s=10.0, confirmation_share=0.25)
    assert (budget.confirmations_s, budget.cells_s) == (30.0, 80.0)
    assert plan(10, budget).round_count == 6


def test_what_does_not_fit_says_why_and_when_its_turn_was() -> None:
    made = plan(3, Budget(total_s=17.0), {cells(3)[0]: 4})
    assert [cell.model for cell in made.cells] == ["m1", "m2"]
    (left,) = made.left_out
    assert left.cell.model == "m0"
    assert "last measured in night 4" in left.reason


def test_a_cell_that_no_night_could_hold_says_that() -> None:
    made = plan(1, Budget(total_s=5.0))
    assert made.cells == ()
    assert "raise the budget or lower min_rounds" in made.left_out[0].reason


def test_every_cell_has_its_turn_within_as_many_nights_as_the_budget_needs() -> None:
    last_nights: dict[Cell, int] = {}
    for night in range(1, 6):
        for cell in plan(10, Budget(total_s=16.0), last_nights).cells:
            last_nights[cell] = night
    assert set(last_nights) == set(cells(10))


def test_a_cost_that_a_night_saw_divides_into_a_start_and_rounds() -> None:
    learnt = learnt_cost(30.0, 14, COST)
    assert learnt == CellCost(start_s=2.0, round_s=2.0, is_measured=True)
    assert learnt_cost(0.0, 0, COST) is COST


@given(
    costs=st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.01, 60.0)), min_size=1, max_size=30),
    total_s=st.floats(1.0, 10_000.0),
    share=st.floats(0.0, 0.9),
)
def test_a_plan_keeps_its_budget_and_loses_no_cell(
    costs: list[tuple[float, float]], total_s: float, share: float
) -> None:
    chosen = cells(len(costs))
    table = {cell: CellCost(start_s=start, round_s=each) for cell, (start, each) in zip(chosen, costs, strict=True)}
    budget = Budget(total_s=total_s, sentinel_s=5.0, confirmation_share=share)
    made = plan_device(chosen, table, budget, last_nights={}, min_rounds=6, max_rounds=20)
    assert sorted([*made.cells, *(one.cell for one in made.left_out)]) == sorted(chosen)
    taken_s = sum(table[cell].seconds(made.round_count) for cell in made.cells)
    assert taken_s <= budget.cells_s * (1 + 1e-9) + 1e-9
    assert 6 <= made.round_count <= 20

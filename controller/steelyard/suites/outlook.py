"""What a night of a suite will look like before there was any: each device's plan by expected costs."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.suites.cells import Cell, NightDevice, cells_of
from steelyard.suites.estimating import budget_of, expected_cost
from steelyard.suites.planning import CellCost, DevicePlan, plan_device
from steelyard.suites.suite import Suite


def outlook_of(suite: Suite, devices: Sequence[NightDevice]) -> list[tuple[NightDevice, DevicePlan]]:
    """Return each device with what its first night would measure."""
    return [
        (
            device,
            plan_device(
                cells := cells_of(suite, [device]),
                expected_costs(suite, cells),
                budget_of(suite, device.budget_s),
                last_nights={},
                min_rounds=suite.measure.min_rounds,
                max_rounds=suite.measure.max_rounds,
            ),
        )
        for device in devices
    ]


def expected_costs(suite: Suite, cells: Sequence[Cell]) -> dict[Cell, CellCost]:
    """Return what each cell will take by its plan."""
    return {cell: expected_cost(suite.measure, has_task=bool(suite.model(cell.model).task)) for cell in cells}

"""What a cell will take before any night has seen it."""

from __future__ import annotations

from steelyard.suites.planning import Budget, CellCost
from steelyard.suites.suite import NO_SENTINEL, MeasureSettings, Suite

# As measurements are estimated before they start (steelyard.analysis.duration): a process with its runtime, warming up,
# sending, one pass over the data of a task, the numeric check on both sides.
_BLOCK_OVERHEAD_S = 0.55
_STAGING_S = 1.0
_EVALUATION_S = 5.0
_NUMERIC_CHECK_S = 1.1
SENTINEL_ROUNDS = 6


def expected_cost(measure: MeasureSettings, *, has_task: bool) -> CellCost:
    """Return the cost of a cell by its plan; energy, which few devices can read, is found out by the first night."""
    start_s = _STAGING_S + (_EVALUATION_S if has_task else 0.0) + (_NUMERIC_CHECK_S if measure.numeric_check else 0.0)
    return CellCost(start_s=start_s, round_s=_BLOCK_OVERHEAD_S + measure.sample_window_s)


def learnt_cost(device_s: float, round_count: int, expected: CellCost) -> CellCost:
    """Return the cost of a cell that took so long with so many rounds on a past night.

    The start is taken as expected, within half of the whole: how the rest divides matters little between nights of
    similar rounds.
    """
    if device_s <= 0.0 or round_count <= 0:
        return expected
    start_s = min(expected.start_s, device_s / 2)
    return CellCost(start_s=start_s, round_s=(device_s - start_s) / round_count, is_measured=True)


def sentinel_seconds(suite: Suite) -> float:
    """Return what the sentinel takes in a night, start and end together."""
    if suite.sentinel == NO_SENTINEL:
        return 0.0
    return 2 * (_STAGING_S + SENTINEL_ROUNDS * (_BLOCK_OVERHEAD_S + suite.measure.sample_window_s))


def budget_of(suite: Suite, total_s: float) -> Budget:
    """Return how a device's time is divided."""
    share = suite.night.confirmation_share if suite.night.confirm else 0.0
    return Budget(total_s=total_s, sentinel_s=sentinel_seconds(suite), confirmation_share=share)

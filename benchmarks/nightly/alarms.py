"""What a detector's alarms over a device's series are worth: which are false, and how soon what is there is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.nightly.fleet_plan import SimulatedDevice
from benchmarks.nightly.measured_nights import MeasuredNights

# Values that a detector may look at before its alarms count, as the early warning needs.
LEAST_NIGHTS = 6


def weigh_alarms(
    device: SimulatedDevice, values: NDArray[np.float64], alarms: Sequence[Sequence[int]]
) -> dict[str, int]:
    """Return the counts of a detector's alarms.

    Args:
        device: Whose series they are.
        values: [series, nights], NaN where nothing was measured.
        alarms: The nights that alarm, by series. What is reported again after it was found is not counted.

    Returns:
        "false" alarms of the "quiet" series-nights; alarms of models "on sick devices"; planted regressions found on
        the "first", by the "second" night, and "ever".
    """
    counts: Counter[str] = Counter()
    sick_from = values.shape[1] if device.planted_night is None else device.planted_night
    for series, row, nights in zip(device.series, values, alarms, strict=True):
        known = np.flatnonzero(np.isfinite(row))
        planted = row.size if series.planted_night is None else series.planted_night
        counts["quiet"] += int(np.sum(known[LEAST_NIGHTS - 1 :] < min(planted, sick_from)))
        counts["false"] += sum(night < min(planted, sick_from) for night in nights)
        counts["on sick devices"] += sum(sick_from <= night < planted for night in nights)
        found = [night for night in nights if night >= planted]
        if found:
            count_found(counts, int(np.sum((known >= planted) & (known < found[0]))))
    return dict(counts)


def count_found(counts: Counter[str], nights: int) -> None:
    """Count a planted regression that was found after so many nights with a value that missed it."""
    counts["ever"] += 1
    counts["first"] += nights == 0
    counts["second"] += nights <= 1


def over_sentinel(measured: MeasuredNights) -> NDArray[np.float64]:
    """Return the values over the sentinel of their place in the session, [series, nights]."""
    made = np.full(measured.values_ns.shape, np.nan)
    for night, sentinel in enumerate(measured.sentinels):
        for index, place in enumerate(measured.places[:, night]):
            level = sentinel.level_at(float(place))
            made[index, night] = np.nan if level is None else measured.values_ns[index, night] / level
    return made

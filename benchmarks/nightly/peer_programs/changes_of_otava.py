"""Apache Otava's changes of series, night by night: JSON {"series": [[...]]} on stdin, {"alarms": [[night, ...]]} out.

Runs in an environment of its own, with nothing of this project. Default options (window 50, p 0.001, no least
magnitude) and, where asked for, a least magnitude. A night alarms where a change for the worse is reported whose place
none of the nights before had reported.
"""

from __future__ import annotations

import json
import sys

from otava.analysis import compute_change_points

_WINDOW, _MOST_P = 50, 0.001
_FIRST_NIGHT = 6
# A place that moves by so many nights, as more of them come in, is the same change.
_SAME = 3


def alarms(values: list[float | None], least_magnitude: float) -> list[int]:
    """Return the nights that report a new change for the worse."""
    known: list[int] = []
    nights = []
    for night in range(_FIRST_NIGHT, len(values)):
        if values[night] is None:
            continue
        places = [place for place, one in enumerate(values[: night + 1]) if one is not None]
        # A list, as Otava's own reader gives: of an array its detector takes the whole for every window.
        series = [float(values[place]) for place in places]
        points, _ = compute_change_points(series, window_len=_WINDOW, max_pvalue=_MOST_P, min_magnitude=least_magnitude)
        starts = [places[one.index] for one in points if one.stats.mean_2 > one.stats.mean_1]
        new = [start for start in starts if all(abs(start - one) > _SAME for one in known)]
        known += new
        if new:
            nights.append(night)
    return nights


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    made = [alarms(series, asked["least_magnitude"]) for series in asked["series"]]
    json.dump({"alarms": made}, sys.stdout)

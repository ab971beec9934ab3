"""asv's regressions of series, night by night: JSON {"series": [[...]]} on stdin, {"alarms": [[night, ...]]} on stdout.

Runs in an environment of its own, with nothing of this project. A night alarms where a regression above "threshold"
(asv's default: 5 %) is reported whose place none of the nights before had reported.
"""

from __future__ import annotations

import json
import sys

from asv.step_detect import detect_regressions, detect_steps

_FIRST_NIGHT = 6
# A place that moves by so many nights, as more of them come in, is the same regression.
_SAME = 3


def alarms(values: list[float | None], threshold: float) -> list[int]:
    """Return the nights that report a new regression."""
    known: list[int] = []
    nights = []
    for night in range(_FIRST_NIGHT, len(values)):
        if values[night] is None:
            continue
        _, _, places = detect_regressions(detect_steps(values[: night + 1]), threshold)
        starts = [after for _, after, _, _ in places or []]
        new = [start for start in starts if all(abs(start - one) > _SAME for one in known)]
        known += new
        if new:
            nights.append(night)
    return nights


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump({"alarms": [alarms(series, asked["threshold"]) for series in asked["series"]]}, sys.stdout)

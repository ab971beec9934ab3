"""What Apache Otava and ruptures say of series: JSON {"series": [[...]]} on stdin, their answers on stdout.

Runs in an environment of its own, with nothing of this project. Of each series: Otava's best split (index, Q) over all
splits and ends, its change points (index, p) by default options, and ruptures' one split of least squares.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import numpy as np
import ruptures
from otava.analysis import compute_change_points
from otava.change_point_divisive.calculator import PairDistanceCalculator


def answers(series: np.ndarray) -> dict[str, object]:
    """Return what both say of one series."""
    best = PairDistanceCalculator(series).get_candidate_change_point(slice(0, len(series)))
    points, _ = compute_change_points(series.tolist(), window_len=50, max_pvalue=0.001)
    split = ruptures.Dynp(model="l2", min_size=3, jump=1).fit(series).predict(n_bkps=1)
    return {
        "otava_split": [int(best.index), float(best.qhat)],
        "otava_changes": [[int(one.index), float(one.stats.pvalue)] for one in points],
        "ruptures_split": int(split[0]),
    }


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    told = [answers(np.array(series, dtype=float)) for series in asked["series"]]
    versions = {name: version(name) for name in ("apache-otava", "ruptures", "numpy", "scipy")}
    json.dump({"versions": versions, "answers": told}, sys.stdout)

"""Writes what Apache Otava and ruptures say of some series, for the tests of localisation.

Command: `python -m benchmarks.nightly.record_oracles`. Both run in an environment of their own, made on first use from
tools/requirements-bench-otava.txt; the record names their versions.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nightly.series_peers import ask

_RECORD = Path(__file__).resolve().parents[2] / "tests" / "controller" / "series" / "split_oracles.json"
_SEED = 20_261
_NOISE = 0.015


def main() -> int:
    """Ask both about every series and write the record."""
    cases = series_to_ask()
    told = ask("otava", "oracles_of_splits.py", {"series": [one["series"] for one in cases]})
    record = {
        "command": "python -m benchmarks.nightly.record_oracles",
        "versions": told["versions"],
        "cases": [{**case, **answer} for case, answer in zip(cases, told["answers"], strict=True)],
    }
    # A case a line.
    text = json.dumps({**record, "cases": []}, indent=1).replace(
        '"cases": []', '"cases": [\n  ' + ",\n  ".join(json.dumps(one) for one in record["cases"]) + "\n ]"
    )
    _RECORD.write_text(text + "\n")
    print(f"wrote {_RECORD}")
    return 0


def series_to_ask() -> list[dict[str, Any]]:
    """Return series on the log scale with the places of their planted changes, rounded as they are recorded."""
    random = np.random.default_rng(_SEED)
    cases = []
    for count, places, sizes in (
        *((count, (), ()) for count in (8, 15, 30, 50)),
        *((count, (place,), (0.08,)) for count, place in ((20, 10), (30, 25), (50, 5), (50, 45))),
        *((count, (place,), (0.05,)) for count, place in ((30, 15), (50, 30), (50, 44))),
        (45, (15, 30), (0.08, 0.08)),
        (50, (20, 35), (0.10, -0.10)),
        (50, (12, 24, 40), (0.06, -0.09, 0.12)),
    ):
        logs = random.normal(math.log(0.02), _NOISE, count)
        for place, size in zip(places, sizes, strict=True):
            logs[place:] += size
        cases.append({"planted": list(places), "series": [round(float(one), 5) for one in logs]})
    return cases


if __name__ == "__main__":
    sys.exit(main())

"""Each method gets its rounds in turn, and memory is held to its target by the interval."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.compression.calibration_memory import METHODS, _cases, _missing, verdict
from benchmarks.figures import Figure


def _round(model: str, method: str, few: float = 1e8, many: float = 1.1e8) -> dict[str, Any]:
    runs = {"100": {"peak_rss_bytes": few, "seconds": 1.0}, "1000": {"peak_rss_bytes": many, "seconds": 9.0}}
    return {"model": model, "method": method, "runs": runs}


def test_an_interrupted_run_goes_on_with_what_is_missing() -> None:
    assert list(_missing("net", [], 2)) == [*METHODS, *METHODS]
    done = [
        _round("net", METHODS[0]),
        _round("net", METHODS[0]),
        _round("net", METHODS[1]),
        _round("other", METHODS[2]),
    ]
    assert list(_missing("net", done, 2)) == [*METHODS[2:], *METHODS[1:]]
    assert not list(_missing("net", [_round("net", method) for method in METHODS], 1))


def test_a_row_has_both_peaks_and_their_ratio_paired_by_round() -> None:
    rounds = [_round("fashion_mobilenet", "mse", few, 1.1 * few) for few in (1e8, 2e8, 3e8)]
    (case,) = _cases(rounds)
    assert case.row() == ["fashion_mobilenet, mse", "191 MiB", "210 MiB", "1.100 (1.100 to 1.100)"]


@pytest.mark.parametrize(
    ("low", "high", "word"), [(1.0, 1.05, "met"), (1.3, 1.5, "missed"), (1.1, 1.3, "undecided; run more rounds")]
)
def test_the_whole_interval_must_hold_the_target(low: float, high: float, word: str) -> None:
    assert verdict("net, mse", Figure(value=(low + high) / 2, low=low, high=high)).startswith(f"net, mse: {word}.")

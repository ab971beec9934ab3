"""Each method gets its rounds in turn, and memory is held to its target by the worst round."""

from __future__ import annotations

from typing import Any

from benchmarks.compression.calibration_memory import METHODS, _cases, _missing, verdict


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
    rounds = [_round("fashion_mobilenet", "mse", 1e8, 1.1e8), _round("fashion_mobilenet", "mse", 2e8, 2.1e8)]
    (case,) = _cases(rounds)
    assert case.row() == ["fashion_mobilenet, mse", "2", "191 MiB", "200 MiB", "1.050 to 1.100"]


def test_the_worst_round_decides() -> None:
    assert verdict({"a": 1.05, "b": 1.2}).startswith("memory: met. Target: 1,000 samples take at most 1.2 times")
    missed = verdict({"a": 1.3, "b": 1.1})
    assert missed.startswith("memory: missed.")
    assert missed.endswith("measured 1.300 at worst (a).")

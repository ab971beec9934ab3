from __future__ import annotations

import pytest
from benchmarks import aa_comparisons, benchmark_tools, interval_coverage, peak_memory, planted_slowdown
from benchmarks.latency_block import BlockError
from benchmarks.neighbour import busy_neighbour
from benchmarks.peak_memory import Seen
from benchmarks.planted_slowdown import PLANTED


def comparisons(verdicts, *, neighbour=False):
    return [{"model": "m", "neighbour": neighbour, "verdict": verdict, "seconds": 9.0} for verdict in verdicts]


def test_two_false_verdicts_in_200_are_allowed_and_three_are_not():
    good = ["NO_DIFFERENCE"] * 198
    assert aa_comparisons.false_verdict(comparisons([*good, "FASTER", "SLOWER"])).startswith("met")
    assert aa_comparisons.false_verdict(comparisons([*good[1:], *["SLOWER"] * 3])).startswith("missed")
    assert aa_comparisons.false_verdict(comparisons(good)).startswith("undecided, 198 of 200")


def test_an_undecided_comparison_is_not_a_settled_one():
    assert aa_comparisons.settled_verdict(comparisons(["NO_DIFFERENCE"] * 80 + ["UNDECIDED"] * 20)).startswith("met")
    assert aa_comparisons.settled_verdict(comparisons(["NO_DIFFERENCE"] * 79 + ["UNDECIDED"] * 21)).startswith("missed")


def test_every_model_is_compared_as_often_with_the_neighbour_as_without():
    turns = [aa_comparisons.turn(index, 3) for index in range(60)]
    assert {turns.count((which, busy)) for which in range(3) for busy in (False, True)} == {10}


@pytest.mark.parametrize(("found", "stands"), [(38, "met"), (37, "missed")])
def test_a_planted_slowdown_must_be_found_in_95_of_100_tries(found, stands):
    outcomes = [{"verdict": "SLOWER"}] * found + [{"verdict": "UNDECIDED"}] * (40 - found)
    assert stands in planted_slowdown.verdict(PLANTED[0], outcomes)


def test_beside_a_neighbour_no_difference_is_the_one_wrong_answer():
    outcomes = [{"verdict": "NOT_VALID"}] * 39
    assert ": met." in planted_slowdown.verdict(PLANTED[1], [*outcomes, {"verdict": "UNDECIDED"}])
    assert ": missed." in planted_slowdown.verdict(PLANTED[1], [*outcomes, {"verdict": "NO_DIFFERENCE"}])


def test_coverage_counts_the_intervals_that_hold_the_geometric_mean_of_all_rounds():
    sessions = [
        {"rounds_ns": [[100.0, 200.0], [100.0, 200.0]], "p50": [99.0, 101.0], "p90": [150.0, 160.0]},
        {"rounds_ns": [[400.0, 200.0], [400.0, 200.0]], "p50": [190.0, 210.0], "p90": [190.0, 210.0]},
    ]
    assert interval_coverage.grand_figure_ns(sessions, "p50") == pytest.approx(200.0)
    assert interval_coverage.coverage(sessions, "p50") == 0.5
    assert interval_coverage.coverage(sessions, "p90") == 0.5


@pytest.mark.parametrize(("share", "stands"), [(0.95, "met"), (0.89, "missed"), (1.0, "missed")])
def test_intervals_that_hold_the_figure_too_seldom_or_always_are_wrong(share, stands):
    assert f": {stands}." in interval_coverage.verdict("m, p50", share, 100)


def test_peak_memory_from_outside_is_over_what_was_resident_before_the_news_of_the_import():
    seen = [Seen(1_000_000, 50, 50), Seen(2_000_000, 60, 60), Seen(9_000_000, 260, 240), Seen(9_500_000, 255, 100)]
    assert peak_memory.outside_bytes(seen, 4_000_000) == 200 * 1024
    with pytest.raises(BlockError, match="too late"):
        peak_memory.outside_bytes(seen, 1_200_000)


def test_the_median_of_openvinos_tool_is_read_in_either_unit():
    assert benchmark_tools.openvino_median_ns("[ INFO ]    Median:        345.24 us") == pytest.approx(345_240.0)
    assert benchmark_tools.openvino_median_ns("[ INFO ]    Median:        1.74 ms") == pytest.approx(1_740_000.0)
    assert benchmark_tools.openvino_median_ns("[ ERROR ] no device") is None


def test_the_neighbour_ends_with_its_block():
    import psutil

    before = set(psutil.Process().children())
    with busy_neighbour(present=True):
        (neighbour,) = set(psutil.Process().children()) - before
    assert not neighbour.is_running()
    with busy_neighbour(present=False):
        assert set(psutil.Process().children()) == before

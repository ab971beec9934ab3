import numpy as np

from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.pareto import Point, pareto_front


def around(value, spread, unit="ns"):
    return Estimate(
        value=value, low=value - spread, high=value + spread, confidence=0.95, unit=unit, observation_count=9
    )


def point(label, latency, accuracy=None, spread=0.1, accuracy_spread=0.01, **changes):
    accuracy = None if accuracy is None else around(accuracy, accuracy_spread, "fraction")
    return Point(**{"label": label, "latency": around(latency, spread), "accuracy": accuracy, **changes})


def test_slower_and_less_accurate_beyond_the_intervals_is_dominated():
    assert pareto_front([point("a", 5, 0.9), point("b", 10, 0.8), point("c", 20, 0.95)]) == ("a", "c")


def test_surely_slower_and_no_more_accurate_is_dominated():
    assert pareto_front([point("a", 5, 0.9), point("b", 10, 0.9)]) == ("a",)


def test_surely_slower_but_a_little_more_accurate_stays():
    assert pareto_front([point("a", 5, 0.9), point("b", 10, 0.901)]) == ("a", "b")


def test_noise_alone_removes_nothing():
    points = [point("a", 5.0, 0.901, spread=1), point("b", 5.1, 0.9, spread=1), point("c", 5.2, 0.899, spread=1)]
    assert pareto_front(points) == ("a", "b", "c")


def test_surely_less_accurate_and_no_faster_is_dominated():
    assert pareto_front([point("a", 5, 0.9), point("b", 5, 0.8)]) == ("a",)


def test_a_smaller_file_keeps_a_point_on_the_front():
    points = [point("a", 5, 0.9, size_bytes=100), point("b", 10, 0.9, size_bytes=50)]
    assert pareto_front(points) == ("a", "b")
    assert pareto_front([points[0], point("b", 10, 0.9, size_bytes=100)]) == ("a",)


def test_without_accuracy_anywhere_latency_decides():
    assert pareto_front([point("a", 5), point("b", 10), point("c", 5.05)]) == ("a", "c")


def test_an_axis_that_only_one_has_dominates_nobody():
    assert pareto_front([point("a", 5), point("b", 10, 0.9)]) == ("a", "b")


def test_an_unmeasured_point_is_not_on_the_front():
    nothing = Point(label="x", latency=unknown("ns", "it crashed"))
    assert pareto_front([nothing, point("a", 5)]) == ("a",)
    assert pareto_front([nothing]) == ()


def test_a_value_without_an_interval_neither_dominates_nor_is_dominated_by_it():
    bare = Estimate(value=1.0, low=None, high=None, confidence=0.95, unit="ns", observation_count=1, reason="one")
    points = [Point(label="bare", latency=bare), point("a", 5)]
    assert pareto_front(points) == ("bare", "a")


def test_less_memory_or_energy_beyond_the_intervals_keeps_a_point_on_the_front():
    points = [point("a", 5, 0.9, memory=around(100, 1, "B")), point("b", 10, 0.9, memory=around(50, 1, "B"))]
    assert pareto_front(points) == ("a", "b")
    points = [point("a", 5, 0.9, energy=around(2.0, 0.1, "J")), point("b", 10, 0.9, energy=around(1.0, 0.1, "J"))]
    assert pareto_front(points) == ("a", "b")


def test_memory_that_differs_within_its_noise_saves_nobody():
    for other in (99.5, 100.5):
        points = [point("a", 5, 0.9, memory=around(100, 1, "B")), point("b", 10, 0.9, memory=around(other, 1, "B"))]
        assert pareto_front(points) == ("a",)


def test_the_front_is_never_empty_whatever_the_noise():
    random = np.random.default_rng(1)
    for _ in range(300):
        spread = random.uniform(0.1, 3.0)
        points = [
            point(
                str(index),
                random.uniform(1, 10),
                random.uniform(0.5, 0.9),
                spread=spread,
                memory=around(random.uniform(1, 10), spread, "B"),
                energy=around(random.uniform(1, 10), spread, "J"),
            )
            for index in range(8)
        ]
        assert pareto_front(points)

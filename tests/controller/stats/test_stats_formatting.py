import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.stats.estimate import Estimate, exact, unknown
from steelyard.stats.formatting import ColumnScale, format_estimate, format_value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234e6, "ns", "1.23 ms"),
        (20e6, "ns", "20.0 ms"),
        (999.6e3, "ns", "1.00 ms"),
        (0.5, "ns", "0.500 ns"),
        (65e9, "ns", "65.0 s"),
        (0, "ns", "0 ns"),
        (412 * 1024, "B", "412 KiB"),
        (500, "B", "500 B"),
        (1023 * 1024, "B", "1023 KiB"),
        (3 * 1024**3, "B", "3.00 GiB"),
        (0.913, "fraction", "91.3 %"),
        (0.9996, "fraction", "99.96 %"),
        (1.0, "fraction", "100.0 %"),
        (0.4, "pp", "0.4 pp"),
        (-0.3, "pp", "-0.3 pp"),
        (0.05, "pp", "0.05 pp"),
        (-0.001, "pp", "0.0 pp"),
        (0.0, "pp", "0.0 pp"),
        (1.84, "ratio", "1.84x"),
        (0.512, "ratio", "0.512x"),
        (12.34, "ratio", "12.3x"),
        (0.0032, "J", "3.20 mJ"),
        (-0.0032, "J", "-3.20 mJ"),
        (0.0, "J", "0 J"),
        (12.345, "W", "12.3 W"),
    ],
)
def test_a_value_has_three_digits_and_a_unit_that_fits(value, unit, text):
    assert format_value(value, unit) == text


def estimate(value, low, high, unit):
    return Estimate(value=value, low=low, high=high, confidence=0.95, unit=unit, observation_count=9)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (estimate(21.3e6, 20.9e6, 21.8e6, "ns"), "21.3 ms (20.9 to 21.8)"),
        (estimate(21.3124e6, 21.31e6, 21.32e6, "ns"), "21.31 ms (21.31 to 21.32)"),
        (estimate(1.2e6, 0.9e6, 1.6e6, "ns"), "1.20 ms (0.90 to 1.60)"),
        (estimate(2.1, 2.0, 2.2, "ratio"), "2.10x (2.00x to 2.20x)"),
        (estimate(0.1, -0.3, 0.5, "pp"), "0.1 pp (-0.3 to 0.5)"),
        (exact(2048.0, "B"), "2.00 KiB"),
        (unknown("J", "no sensor"), "not known (no sensor)"),
    ],
)
def test_an_estimate_shows_its_interval_in_the_unit_of_its_value(figure, text):
    assert format_estimate(figure) == text


def test_an_estimate_without_an_interval_says_why():
    figure = Estimate(
        value=5e6, low=None, high=None, confidence=0.95, unit="ns", observation_count=1, reason="one round"
    )
    assert format_estimate(figure) == "5.00 ms (one round)"


@settings(deadline=None)
@given(st.floats(-1e15, 1e15), st.sampled_from(["ns", "B", "J", "ratio", "fraction", "pp"]))
def test_every_finite_value_has_a_text_near_to_it(value, unit):
    number, suffix = format_value(value, unit).replace("x", " x").split(" ")
    factors = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    factors |= {"nJ": 1e-9, "uJ": 1e-6, "mJ": 1e-3, "J": 1, "kJ": 1e3, "x": 1, "%": 0.01, "pp": 1}
    smallest = {"fraction": 5.1e-4, "pp": 0.0501, "B": 0.501}.get(unit, 1e-12)
    assert float(number) * factors[suffix] == pytest.approx(value, rel=0.006, abs=smallest)
    assert not number.startswith("-0") or float(number) != 0.0


def test_a_column_has_one_unit_that_fits_its_median() -> None:
    scale = ColumnScale.of([900.0, 1.2e6, 3.4e6], "ns")
    assert (scale.unit, scale.divisor) == ("ms", 1e6)
    assert scale.number(900.0) == "0.000900"
    assert scale.interval(1.24e6, 1.2395e6, 1.2404e6) == ("1.2400", "1.2395", "1.2404")
    assert scale.interval(1.24e6, 1.23e6, 1.25e6) == ("1.24", "1.23", "1.25")


def test_a_column_without_values_has_the_plainest_unit() -> None:
    assert ColumnScale.of([], "J").unit == "J"
    assert ColumnScale.of([], "fraction").unit == "%"
    assert ColumnScale.of([1.9, 2.0], "ratio").unit == "x"

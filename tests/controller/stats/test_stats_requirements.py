import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import UsageError
from steelyard.stats.estimate import Estimate, exact, unknown
from steelyard.stats.requirements import METRICS, Requirement, RequirementVerdict, decide, nearest, parse_requirement


def estimate(low, value, high, unit="ns"):
    return Estimate(value=value, low=low, high=high, confidence=0.95, unit=unit, observation_count=9)


@pytest.mark.parametrize(
    ("text", "metric", "operator", "threshold", "unit"),
    [
        ("p90<20ms", "p90", "<", 20e6, "ns"),
        ("p50 <= 1.5 s", "p50", "<=", 1.5e9, "ns"),
        ("  load<250us ", "load", "<", 250e3, "ns"),
        ("first<.5ms", "first", "<", 0.5e6, "ns"),
        ("p99<1e3ns", "p99", "<", 1000.0, "ns"),
        ("memory<64MiB", "memory", "<", 64 * 2**20, "B"),
        ("size<=400KB", "size", "<=", 400e3, "B"),
        ("size<400kB", "size", "<", 400e3, "B"),
        ("accuracy>=90%", "accuracy", ">=", 0.9, "fraction"),
        ("accuracy>0.9", "accuracy", ">", 0.9, "fraction"),
        ("drop<1pp", "drop", "<", 1.0, "pp"),
        ("drop<-0.5pp", "drop", "<", -0.5, "pp"),
        ("speedup>1.5x", "speedup", ">", 1.5, "ratio"),
        ("speedup>=2", "speedup", ">=", 2.0, "ratio"),
        ("energy<5mJ", "energy", "<", 0.005, "J"),
        ("energy<2J", "energy", "<", 2.0, "J"),
        ("net_energy<5mJ", "net_energy", "<", 0.005, "J"),
        ("p95<1ms", "p95", "<", 1e6, "ns"),
        ("throughput>=100/s", "throughput", ">=", 100.0, "1/s"),
        ("throughput>2e3", "throughput", ">", 2000.0, "1/s"),
        ("response_p99<50ms", "response_p99", "<", 50e6, "ns"),
        ("first_step<5ms", "first_step", "<", 5e6, "ns"),
        ("per_step<200us", "per_step", "<", 200e3, "ns"),
        ("build<2s", "build", "<", 2e9, "ns"),
    ],
)
def test_a_requirement_reads_as_it_is_meant(text, metric, operator, threshold, unit):
    requirement = parse_requirement(text)
    assert (requirement.metric, requirement.operator, requirement.unit) == (metric, operator, unit)
    assert requirement.threshold == pytest.approx(threshold)
    assert requirement.text == text.strip()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "METRIC OP VALUE[UNIT]"),
        ("p90", "METRIC OP VALUE[UNIT]"),
        ("p90=20ms", "METRIC OP VALUE[UNIT]"),
        ("p90<20ms\np50<1ms", "METRIC OP VALUE[UNIT]"),
        ("p90<twenty", "METRIC OP VALUE[UNIT]"),
        ("p90<20 ms x", "METRIC OP VALUE[UNIT]"),
        ("p90<\u0662ms", "METRIC OP VALUE[UNIT]"),
        ("p98<20ms", "did you mean 'p9"),
        ("latency<20ms", "known are p50, p90, p95, p99, response_p50"),
        ("Accuracy>0.9", "did you mean 'accuracy'?"),
        ("speed>2x", "did you mean 'speedup'?"),
        ("p90<20", "p90 needs a unit: ns, us, ms, s"),
        ("p90<20msec", "did you mean 'ms'?"),
        ("memory<20mb", "did you mean 'MB'?"),
        ("size<4", "size needs a unit"),
        ("drop<1%", "no unit of drop"),
        ("drop<1", "drop needs a unit: pp"),
        ("energy<5mj", "did you mean 'mJ'?"),
        ("throughput>5ms", "'ms' is no unit of throughput"),
        ("response<5ms", "did you mean 'response_p"),
        ("accuracy>90", "did you mean 'accuracy>90%'?"),
        ("p90<-1ms", "-1 is no p90 that could be required"),
        ("p90<1e999ms", "1e999 is no p90 that could be required"),
    ],
)
def test_nonsense_is_refused_in_a_sentence_that_names_it(text, words):
    with pytest.raises(UsageError) as caught:
        parse_requirement(text)
    assert words in str(caught.value)
    assert repr(text) in str(caught.value)
    assert caught.value.reason == "invalid_requirement"
    assert caught.value.exit_code == 2


@settings(deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"[a-z0-9]{1,6}[<>=]{1,2}-?[0-9.e+]{1,6}[A-Za-z%]{0,4}", fullmatch=True))
def test_any_text_is_a_requirement_or_a_usage_error(text):
    try:
        threshold, said = parse_requirement(text).threshold, repr(text)
    except UsageError as error:
        threshold, said = 0.0, str(error)
    assert math.isfinite(threshold)
    assert repr(text) in said


@settings(deadline=None)
@given(st.sampled_from(sorted(METRICS)), st.sampled_from(["<", "<=", ">", ">="]), st.floats(0.001, 1.0), st.data())
def test_what_is_written_out_is_read_back(metric, operator, number, data):
    unit = data.draw(st.sampled_from(sorted(METRICS[metric].multipliers)))
    requirement = parse_requirement(f"{metric} {operator} {number!r}{unit}")
    assert requirement.threshold == pytest.approx(number * METRICS[metric].multipliers[unit])
    assert (requirement.metric, requirement.operator) == (metric, operator)


@pytest.mark.parametrize(
    "fields",
    [
        {"metric": "p42", "operator": "<", "threshold": 1.0},
        {"metric": "p90", "operator": "=", "threshold": 1.0},
        {"metric": "p90", "operator": "<", "threshold": math.inf},
    ],
)
def test_a_requirement_that_nothing_can_be_held_against_is_refused(fields):
    with pytest.raises(ValueError, match="no requirement"):
        Requirement(text="x", **fields)


@pytest.mark.parametrize(
    ("text", "low", "value", "high", "verdict"),
    [
        ("p90<20ns", 18, 19, 19.9, "MEETS"),
        ("p90<20ns", 18, 19, 20, "UNDECIDED"),
        ("p90<=20ns", 18, 19, 20, "MEETS"),
        ("p90<20ns", 20, 21, 22, "FAILS"),
        ("p90<=20ns", 20, 21, 22, "UNDECIDED"),
        ("p90<=20ns", 20.1, 21, 22, "FAILS"),
        ("p90>20ns", 20.1, 21, 22, "MEETS"),
        ("p90>20ns", 19, 19.5, 20, "FAILS"),
        ("p90>=20ns", 19, 19.5, 20, "UNDECIDED"),
        ("p90>=20ns", 20, 21, 22, "MEETS"),
    ],
)
def test_a_verdict_is_about_the_whole_interval(text, low, value, high, verdict):
    assert decide(parse_requirement(text), estimate(low, value, high)).verdict is RequirementVerdict[verdict]


def test_an_outcome_states_the_figure():
    requirement = parse_requirement("p90<20ms")
    outcome = decide(requirement, estimate(20.9e6, 21.3e6, 21.8e6))
    assert outcome.because == "p90 is 21.3 ms (20.9 to 21.8)"
    assert outcome.violation == pytest.approx(0.065)
    assert decide(requirement, estimate(19e6, 19.5e6, 20.8e6)).because.endswith("which does not settle p90<20ms")
    assert decide(requirement, estimate(18e6, 19e6, 19.5e6)).violation == 0.0


def test_what_was_not_measured_is_undecided_with_its_reason():
    outcome = decide(parse_requirement("energy<5mJ"), unknown("J", "no sensor"))
    assert outcome.verdict is RequirementVerdict.UNDECIDED
    assert outcome.because == "energy is not known (no sensor)"
    assert not outcome.is_measured


def test_a_value_without_an_interval_is_undecided():
    one = Estimate(value=1e6, low=None, high=None, confidence=0.95, unit="ns", observation_count=1, reason="one round")
    outcome = decide(parse_requirement("p90<20ms"), one)
    assert outcome.verdict is RequirementVerdict.UNDECIDED
    assert outcome.because == "p90 is 1.00 ms (one round)"
    assert outcome.is_measured


def test_an_exact_size_is_decided():
    assert decide(parse_requirement("size<2KiB"), exact(2047.0, "B")).verdict is RequirementVerdict.MEETS
    assert decide(parse_requirement("size<2KiB"), exact(2048.0, "B")).verdict is RequirementVerdict.FAILS


def test_an_estimate_in_another_unit_is_refused():
    with pytest.raises(ValueError, match="is in 'ns', the estimate in 'B'"):
        decide(parse_requirement("p90<20ms"), exact(1.0, "B"))


def test_the_nearest_has_the_smallest_worst_violation():
    p90, drop = parse_requirement("p90<20ns"), parse_requirement("drop<1pp")

    def outcomes(latency, loss):
        return [decide(p90, estimate(latency, latency, latency)), decide(drop, estimate(loss, loss, loss, "pp"))]

    assert nearest({"a": outcomes(21, 1.5), "b": outcomes(24, 0.5), "c": outcomes(10, 3.0)}) == "b"
    assert nearest({"a": outcomes(24, 1.1), "b": outcomes(24, 0.5)}) == "b"
    assert nearest({"a": [decide(p90, unknown("ns", "x"))], "b": outcomes(200, 9.0)}) == "b"
    assert nearest({}) is None
    assert parse_requirement("drop<0pp").violation(0.5) == 0.5

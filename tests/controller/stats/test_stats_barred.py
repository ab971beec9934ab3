"""The choice with candidates that ran and must not be shipped all the same."""

from __future__ import annotations

from steelyard.stats.candidates import Candidate
from steelyard.stats.comparison import Comparison, ComparisonVerdict
from steelyard.stats.estimate import Estimate, exact, unknown
from steelyard.stats.requirements import decide, parse_requirement
from steelyard.stats.shipping import DecisionKind, choose

NAN = "2 of 160 values of output 'y' are NaN or infinite on this device"


def candidate(label: str, time_ms: float, *, barred: str = "", is_reference: bool = False) -> Candidate:
    time = exact(time_ms * 1e6, "ns")
    faster = Estimate(
        value=10 / time_ms, low=9.5 / time_ms, high=10.5 / time_ms, unit="ratio", confidence=0.95, observation_count=9
    )
    comparison = Comparison(
        verdict=ComparisonVerdict.FASTER,
        ratio=faster,
        speedup=faster,
        more_round_count=None,
        because="",
        detectable_effect=unknown("fraction", "not looked at"),
    )
    return Candidate(
        label=label,
        time=time,
        is_reference=is_reference,
        speedup=None if is_reference else comparison,
        accuracy_drop=None if is_reference else exact(0.0, "pp"),
        outcomes=(),
        barred=barred,
    )


ORIGINAL = candidate("original", 10.0, is_reference=True)


def test_the_fastest_one_is_not_shipped_when_it_is_barred() -> None:
    choice = choose([ORIGINAL, candidate("nan", 1.0, barred=NAN), candidate("sound", 5.0)])
    assert (choice.kind, choice.label) == (DecisionKind.SHIP, "sound")


def test_a_barred_variant_alone_leaves_no_decision_and_says_why() -> None:
    choice = choose([ORIGINAL, candidate("nan", 1.0, barred=NAN)])
    assert choice.kind is DecisionKind.INCOMPLETE
    assert f"nan must not be shipped ({NAN})" in choice.sentence


def test_an_original_that_is_barred_is_not_kept() -> None:
    choice = choose([candidate("original", 10.0, is_reference=True, barred=NAN), candidate("sound", 5.0)])
    assert choice.kind is DecisionKind.INCOMPLETE
    assert choice.sentence.startswith("No decision on this device: the original must not be shipped (2 of 160")


def test_no_requirement_is_met_by_what_must_not_be_shipped() -> None:
    requirement = parse_requirement("p50<20ms")

    def judged(one: Candidate) -> Candidate:
        from dataclasses import replace

        return replace(one, outcomes=(decide(requirement, one.time),))

    barred = judged(candidate("nan", 1.0, barred=NAN))
    assert not barred.meets_all
    assert barred.fails_any
    choice = choose([judged(ORIGINAL), barred])
    assert (choice.kind, choice.label) == (DecisionKind.KEEP_ORIGINAL, "original")
    everything = choose([judged(candidate("original", 10.0, is_reference=True, barred=NAN)), barred])
    assert everything.kind is DecisionKind.INCOMPLETE
    assert "original must not be shipped" in everything.sentence

"""Claims and expectations held against measured intervals."""

from __future__ import annotations

import pytest

from steelyard.advice.advising import advise
from steelyard.advice.checking import Outcome, check_claims, check_recipes
from steelyard.advice.contract import SPEEDUP, AdviceWarning, Claim, ClaimVerdict, Expectation, Interval
from tests.controller.advice import situations
from tests.controller.advice.situations import device, situation


def interval(low: float, high: float) -> Interval:
    return Interval(low=low, value=(low + high) / 2, high=high)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (interval(0.8, 0.9), ClaimVerdict.HELD),
        (interval(1.05, 1.2), ClaimVerdict.UNDECIDED),
        (interval(1.2, 1.3), ClaimVerdict.WRONG),
        (None, ClaimVerdict.NOT_MEASURED),
    ],
)
def test_a_claim_is_wrong_only_when_the_whole_interval_lies_outside(
    seen: Interval | None, verdict: ClaimVerdict
) -> None:
    assert Claim(recipe="float16", figure=SPEEDUP, high=1.1).check(seen) is verdict


def test_what_claims_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="claims nothing"):
        Claim(recipe="float16", figure=SPEEDUP)
    with pytest.raises(ValueError, match="'joy' is not one of"):
        Claim(recipe="float16", figure="joy", high=1.0)
    with pytest.raises(ValueError, match="make it a note"):
        AdviceWarning(id="empty", text="beware", claims=())
    with pytest.raises(ValueError, match="rests on"):
        Expectation(low=1.0, high=2.0, evidence="")
    with pytest.raises(ValueError, match="is no range"):
        Expectation(low=2.0, high=1.0, evidence="seen")
    with pytest.raises(ValueError, match="does not hold"):
        Interval(low=2.0, value=1.0, high=3.0)


def test_warnings_and_expectations_find_their_variants() -> None:
    advice = advise(situation(situations.RESNET, device(situations.AVX2)))
    outcomes = [
        Outcome(recipe="static-int8", label="static-int8", speedup=interval(2.2, 2.4), reduce_range=True),
        Outcome(recipe="float16", label="float16", speedup=interval(0.7, 0.8), size_ratio=0.5),
    ]
    verdicts = {(one.warning, one.claim.recipe): one.verdict for one in check_claims(advice, outcomes)}
    assert verdicts["no-int8-dot", "static-int8"] is ClaimVerdict.WRONG
    assert verdicts["no-int8-dot", "dynamic-int8"] is ClaimVerdict.NOT_MEASURED
    assert verdicts["u8s8-saturates", "static-int8"] is ClaimVerdict.HELD
    assert verdicts["float16-no-halves", "float16"] is ClaimVerdict.HELD
    # float16 was warned of and not advised: there is no expectation to hold against it.
    (checked,) = check_recipes(advice, outcomes)
    assert checked.advised.recipe == "static-int8"
    assert checked.verdict is ClaimVerdict.WRONG


def test_eight_bits_where_seven_were_promised_prove_the_warning_wrong() -> None:
    advice = advise(situation(situations.RESNET, device(situations.AVX2)))
    (checked,) = [
        one
        for one in check_claims(advice, [Outcome(recipe="static-int8", reduce_range=False)])
        if one.warning == "u8s8-saturates"
    ]
    assert checked.verdict is ClaimVerdict.WRONG


def test_a_recipe_of_which_nothing_was_known_is_neither_right_nor_wrong() -> None:
    advice = advise(situation(situations.PERCEPTRON, device(frozenset())))
    assert next(one for one in advice.recipes if one.recipe == "static-int8").expectation is None
    (checked,) = check_recipes(advice, [Outcome(recipe="static-int8", speedup=interval(1.0, 1.2))])
    assert checked.verdict is ClaimVerdict.UNDECIDED

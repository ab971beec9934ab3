from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.surroundings.contract import ThrottleVerdict, Weighed
from steelyard_agent.surroundings.verdict import judge

SENTENCES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple)


def test_any_evidence_is_a_yes_whatever_others_rule_out():
    report = judge([Weighed(rules_out=True), Weighed(evidence=("it was hot",)), Weighed(not_looked_at=("denied",))])
    assert report.verdict is ThrottleVerdict.YES
    assert (report.evidence, report.not_looked_at) == (("it was hot",), ("denied",))


def test_a_source_that_rules_it_out_is_a_no_and_what_was_not_looked_at_still_stands_there():
    report = judge([Weighed(rules_out=True), Weighed(not_looked_at=("denied",))])
    assert (report.verdict, report.evidence, report.not_looked_at) == (ThrottleVerdict.NO, (), ("denied",))


def test_sources_that_tell_too_little_leave_it_unknown_with_their_reasons_once_each():
    report = judge([Weighed(not_looked_at=("denied",)), Weighed(not_looked_at=("denied", "empty"))])
    assert (report.verdict, report.not_looked_at) == (ThrottleVerdict.UNKNOWN, ("denied", "empty"))


def test_a_device_without_any_source_is_unknown_and_says_what_it_would_take():
    report = judge([])
    assert report.verdict is ThrottleVerdict.UNKNOWN
    assert "nothing on this device tells enough" in report.not_looked_at[0]


def test_a_hint_alone_makes_no_verdict_but_is_told():
    report = judge([Weighed(hints=("latency rose",))])
    assert (report.verdict, report.evidence) == (ThrottleVerdict.UNKNOWN, ("latency rose",))
    assert judge([Weighed(hints=("latency rose",)), Weighed(rules_out=True)]).verdict is ThrottleVerdict.NO


def test_a_hint_stands_behind_the_evidence():
    report = judge([Weighed(hints=("latency rose",)), Weighed(evidence=("it was hot",))])
    assert report.evidence == ("it was hot", "latency rose")


def test_evidence_cannot_rule_throttling_out():
    with pytest.raises(ValueError, match="'it was hot' cannot rule"):
        Weighed(evidence=("it was hot",), rules_out=True)


@given(st.lists(st.tuples(SENTENCES, SENTENCES, SENTENCES, st.booleans()), max_size=5))
def test_a_verdict_always_has_its_grounds(told):
    weighed = [
        Weighed(evidence=evidence, hints=hints, not_looked_at=reasons, rules_out=rules_out and not evidence)
        for evidence, hints, reasons, rules_out in told
    ]
    report = judge(weighed)
    assert (report.verdict is ThrottleVerdict.YES) == any(one.evidence for one in weighed)
    if report.verdict is ThrottleVerdict.NO:
        assert any(one.rules_out for one in weighed)
    if report.verdict is ThrottleVerdict.UNKNOWN:
        assert report.not_looked_at

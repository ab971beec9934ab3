from __future__ import annotations

import pytest

from steelyard.identity.errors import IdentityError
from steelyard.membership.administration import require_tags
from steelyard.membership.terms import MAX_CODE_USES, Terms, code_uses

HOUR_MS = 3_600_000


def test_a_code_lives_an_hour_unless_somebody_asks_for_another_time() -> None:
    assert Terms().code_life(0) == HOUR_MS * 1_000_000
    assert Terms().code_life(8 * HOUR_MS) == 8 * HOUR_MS * 1_000_000


@pytest.mark.parametrize("asked_ms", [-1, 31 * 24 * HOUR_MS])
def test_no_code_lives_for_ever(asked_ms: int) -> None:
    with pytest.raises(IdentityError) as caught:
        Terms().code_life(asked_ms)
    assert caught.value.reason == "invalid_code_life"


def test_a_code_is_for_one_device_unless_somebody_asks_for_more() -> None:
    assert (code_uses(0), code_uses(50)) == (1, 50)
    for asked in (-1, MAX_CODE_USES + 1):
        with pytest.raises(IdentityError) as caught:
            code_uses(asked)
        assert caught.value.reason == "invalid_code_uses"


def test_durations_that_are_none_are_refused() -> None:
    for values in ({"device_life_ns": 0}, {"grace_ns": -1}, {"code_life_ns": 31 * 24 * HOUR_MS * 1_000_000}):
        with pytest.raises(IdentityError) as caught:
            Terms(**values)
        assert caught.value.reason == "invalid_terms"


def test_tags_are_words_each_once_in_rising_order() -> None:
    assert require_tags(["rack1", "pi5", "rack1"]) == ("pi5", "rack1")
    for tag in ("", "two words", "-x", "a" * 65, "tag:x"):
        with pytest.raises(Exception, match="must be 1 to 64"):
            require_tags([tag])
    with pytest.raises(Exception, match="too many"):
        require_tags([f"t{number}" for number in range(33)])


def test_a_token_is_good_for_a_month_or_as_long_as_was_asked_up_to_a_year() -> None:
    day_ms = 24 * 3600 * 1000
    terms = Terms()
    assert [terms.token_life(days * day_ms) // (day_ms * 1_000_000) for days in (0, 1, 366)] == [30, 1, 366]
    for refused_ms in (-1, 1, 999, 366 * day_ms + 1):
        with pytest.raises(IdentityError) as caught:
            terms.token_life(refused_ms)
        assert caught.value.reason == "invalid_token_life"

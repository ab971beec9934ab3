"""The agent's own reader of join codes, held to the vectors that the controller's reader is held to."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.enrollment.errors import JoinCodeError
from steelyard_agent.enrollment.join_code import decode_join_code

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "contracts" / "join_codes.json").read_text(encoding="utf-8")
)
CODE: str = VECTORS["valid"][0]["code"]


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["addresses"][0])
def test_a_code_is_read_as_the_controller_meant_it(vector: dict[str, Any]) -> None:
    code = decode_join_code(vector["code"])
    assert code.secret_text == vector["secret"]
    assert code.fingerprint.hex() == vector["fingerprint"]
    assert list(code.addresses) == vector["addresses"]
    assert code.is_for_person == (vector["kind"] == "person")


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["why"])
def test_what_is_no_code_is_refused_for_the_same_reason_as_by_the_controller(vector: dict[str, Any]) -> None:
    with pytest.raises(JoinCodeError) as caught:
        decode_join_code(vector["text"])
    assert caught.value.reason == vector["reason"]
    assert caught.value.exit_code == 2


def test_case_and_white_space_of_a_pasted_code_do_not_matter() -> None:
    pasted = f"  {CODE[:20].upper()}\n {CODE[20:]}\t"
    assert decode_join_code(pasted) == decode_join_code(CODE)


def test_the_secret_is_not_shown_with_the_code() -> None:
    assert VECTORS["valid"][0]["secret"] not in repr(decode_join_code(CODE))


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(JoinCodeError):
        decode_join_code(f"sy1-{text}")


@given(st.integers(4, len(CODE) - 1), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_character_that_was_mistyped_is_found(position: int, digit: str) -> None:
    mistyped = CODE[:position] + digit + CODE[position + 1 :]
    if mistyped != CODE:
        with pytest.raises(JoinCodeError):
            decode_join_code(mistyped)

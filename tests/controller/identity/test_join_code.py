from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.identity.errors import JoinCodeError
from steelyard.identity.fingerprint import fingerprint
from steelyard.identity.join_code import CodeKind, JoinCode, decode_join_code, encode_join_code

VECTORS = json.loads((Path(__file__).parents[2] / "contracts" / "join_codes.json").read_text("utf-8"))

hosts = st.one_of(st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True), st.just("[2001:db8::7]"))
addresses = st.builds(lambda host, port: f"{host}:{port}", hosts, st.integers(1, 65_535))
codes = st.builds(
    lambda kind, secret, print_, found: JoinCode(kind=kind, secret=secret, fingerprint=print_, addresses=tuple(found)),
    st.sampled_from(CodeKind),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.lists(addresses, min_size=1, max_size=4),
)


def by_code(vector: dict[str, str]) -> str:
    return str(vector.get("why", vector.get("code", ""))[:24])


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=by_code)
def test_a_recorded_code_reads_and_writes_as_recorded(vector: dict[str, str]) -> None:
    code = decode_join_code(vector["code"])
    assert code.kind.name.lower() == vector["kind"]
    assert code.secret_text == vector["secret"]
    assert code.fingerprint.hex() == vector["fingerprint"]
    assert list(code.addresses) == vector["addresses"]
    assert encode_join_code(code) == vector["code"]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=by_code)
def test_what_is_no_code_is_refused_with_its_reason(vector: dict[str, str]) -> None:
    with pytest.raises(JoinCodeError) as caught:
        decode_join_code(vector["text"])
    assert caught.value.reason == vector["reason"]


@pytest.mark.parametrize("vector", VECTORS["fingerprints"])
def test_the_fingerprint_is_the_recorded_one(vector: dict[str, str]) -> None:
    print_ = fingerprint(bytes.fromhex(vector["enrollment_der"]), bytes.fromhex(vector["authority_der"]))
    assert print_.hex() == vector["fingerprint"]


@given(codes)
def test_every_code_reads_back_in_capitals_and_broken_over_lines(code: JoinCode) -> None:
    text = encode_join_code(code)
    assert decode_join_code(text) == code
    assert decode_join_code(" " + text[:30].upper() + "\n  " + text[30:] + "\n") == code


@given(codes, st.data())
def test_one_wrong_character_is_always_noticed(code: JoinCode, data: st.DataObject) -> None:
    text = encode_join_code(code)
    # The last character may hold bits that are no part of a byte.
    position = data.draw(st.integers(4, len(text) - 2))
    wrong = data.draw(st.sampled_from([c for c in "abcdefghijklmnopqrstuvwxyz234567" if c != text[position]]))
    with pytest.raises(JoinCodeError) as caught:
        decode_join_code(text[:position] + wrong + text[position + 1 :])
    assert caught.value.reason == "mistyped_join_code"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, "sy1-" + text):
        with pytest.raises(JoinCodeError):
            decode_join_code(candidate)


def test_the_secret_is_not_in_what_a_log_would_show() -> None:
    code = decode_join_code(VECTORS["valid"][0]["code"])
    assert repr(code.secret) not in repr(code)
    assert code.secret_text not in repr(code)


def test_a_code_with_too_many_addresses_says_so() -> None:
    code = JoinCode(
        kind=CodeKind.DEVICE,
        secret=bytes(16),
        fingerprint=bytes(16),
        addresses=tuple(f"{'a' * 60}:{n}" for n in range(1, 20)),
    )
    with pytest.raises(JoinCodeError, match="name fewer addresses"):
        encode_join_code(code)

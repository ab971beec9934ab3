from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.identity.code_secret import secret_hash
from steelyard.identity.errors import IdentityError
from steelyard.identity.own_key import make_own_key, request_for
from steelyard.identity.requests import key_digest, read_request


def test_a_key_of_ones_own_asks_for_a_certificate_of_itself() -> None:
    key = make_own_key()
    first, second = read_request(request_for(key)), read_request(request_for(key))
    assert key_digest(first) == key_digest(second)
    assert key_digest(first) != key_digest(read_request(request_for(make_own_key())))


@pytest.mark.parametrize("pem", [b"", b"nothing", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"])
def test_a_key_that_cannot_be_read_is_refused(pem: bytes) -> None:
    with pytest.raises(IdentityError) as caught:
        request_for(pem)
    assert caught.value.reason == "key_unreadable"


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_any_text_as_a_request_is_refused_with_a_sentence(text: str) -> None:
    framed = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n"
    for pem in (text, framed):
        with pytest.raises(IdentityError):
            read_request(pem)


@given(st.text(max_size=64))
def test_only_what_a_code_can_hold_is_a_secret(text: str) -> None:
    with pytest.raises(IdentityError) as caught:
        secret_hash(text + "g")
    assert caught.value.reason == "unknown_code"

from __future__ import annotations

import base64

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


# Kept from one run to the next, so that what hypothesis finds is found again.
REQUEST_DER = bytes.fromhex(
    "3081ce307602010030143112301006035504030c09737465656c796172643059301306072a8648ce3d020106082a8648ce3d"
    "0301070342000403beb2a496912647b8a3263312892040608cfb1eb3336cb605cbe1d7931bc277faef4ebea33494f393f8e8"
    "1f63b88e81bc21f81dc309fe8cf6621a64c823a9a9a000300a06082a8648ce3d0403020348003045022100bb02114b3f33aa"
    "72d6cd7b0a2ed2c23ef1d3f71fe0626c2abd15ac2722b6000602206644d18773a635d9c88e2f96d17dc6aa49c9f63c16284a"
    "e5b8edbb81b8fd5683"
)


def changed(der: bytes, places: list[tuple[int, int]]) -> str:
    data = bytearray(der)
    for at, value in places:
        data[at % len(data)] = value
    body = base64.encodebytes(bytes(data)).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


changes = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6)


@given(changes)
def test_a_request_with_changed_bytes_is_refused_or_is_the_same_request(places: list[tuple[int, int]]) -> None:
    pem = changed(REQUEST_DER, places)
    if pem == changed(REQUEST_DER, [(0, REQUEST_DER[0])]):
        read_request(pem)
        return
    with pytest.raises(IdentityError):
        read_request(pem)


@given(st.text(max_size=64))
def test_only_what_a_code_can_hold_is_a_secret(text: str) -> None:
    with pytest.raises(IdentityError) as caught:
        secret_hash(text + "g")
    assert caught.value.reason == "unknown_code"

"""Tokens as text: what one holds, and that what was lost of it is said without quoting it."""

from __future__ import annotations

import base64
import json
import traceback
import zlib

import pytest

from steelyard.control.logins import Login
from steelyard.control.token import decode_token, encode_token
from steelyard.errors import UsageError

LOGIN = Login(
    controller_id="0123",
    controller_name="0123.steelyard",
    user="ci",
    addresses=("192.168.1.20:7443", "rack.local:7443"),
    not_after_s=2_000_000_000,
    renew_after_s=2_000_000_000,
    key_pem=b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n",
    certificate_pem=b"-----BEGIN CERTIFICATE-----\nbWluZQ==\n",
    authorities_pem=b"-----BEGIN CERTIFICATE-----\ndGhlaXJz\n",
)
BEFORE_S = 1_900_000_000
TOKEN = encode_token(LOGIN)


def packed(content: object) -> str:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return "syt1-" + base64.urlsafe_b64encode(zlib.compress(data)).decode().rstrip("=")


def unpacked() -> dict[str, object]:
    digits = TOKEN.removeprefix("syt1-")
    content = json.loads(zlib.decompress(base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))))
    assert isinstance(content, dict)
    return content


def test_a_token_is_one_line_that_holds_a_login() -> None:
    assert TOKEN.startswith("syt1-")
    assert len(TOKEN.split()) == 1
    assert decode_token(TOKEN, BEFORE_S) == LOGIN
    assert decode_token(f"\n {TOKEN[:40]}\n{TOKEN[40:]} \n", BEFORE_S) == LOGIN


def test_a_token_is_never_in_the_words_for_it() -> None:
    assert "secret" not in repr(decode_token(TOKEN, BEFORE_S))
    assert "c2VjcmV0" not in repr(decode_token(TOKEN, BEFORE_S))


def test_every_token_that_lost_a_character_or_has_another_one_is_refused() -> None:
    for position in range(0, len(TOKEN), 7):
        for damaged in (
            TOKEN[:position],
            TOKEN[:position] + TOKEN[position + 1 :],
            TOKEN[:position] + ("A" if TOKEN[position] != "A" else "B") + TOKEN[position + 1 :],
        ):
            with pytest.raises(UsageError) as caught:
                decode_token(damaged, BEFORE_S)
            assert caught.value.reason == "invalid_token"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sy1-aeasb4e3r7qyiolnokzxsuz2ndslgw7f",
        "syt1-é",
        "syt1-" + "A" * 50_000,
        packed([]),
        packed({}),
        packed(b"\xff"),
        packed(b"[" * 100_000),
        packed(b" " * 1_000_000),
        packed({**unpacked(), "addresses": []}),
        packed({**unpacked(), "not_after": "soon"}),
        packed({**unpacked(), "not_after": 10**18}),
        packed({**unpacked(), "not_after": -1}),
        packed({**unpacked(), "controller_id": ""}),
    ],
    ids=range(14),
)
def test_what_is_no_token_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        decode_token(text, BEFORE_S)
    assert caught.value.reason == "invalid_token"
    told = "".join(traceback.format_exception(caught.value))
    assert "STEELYARD_TOKEN" in told
    assert len(text) < 12 or text[5:40] not in told


def test_a_token_past_its_end_says_whose_it_was_and_what_to_do() -> None:
    with pytest.raises(UsageError, match="steelyard user token ci") as caught:
        decode_token(TOKEN, 2_000_000_000)
    assert caught.value.reason == "token_expired"
    assert TOKEN[5:40] not in str(caught.value)

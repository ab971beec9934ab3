"""Asking a plug over HTTP for JSON: bounded in time and size, and every trouble a sentence. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
from math import inf
from urllib.parse import urlsplit

from steelyard.errors import UsageError
from steelyard.meters.contract import MeterError, MeterUrl
from steelyard.meters.digest import answer_challenge
from steelyard.web_request import WebAnswer, WebRequest, WebTroubleError, exchange

TIMEOUT_S = 3.0
# A plug's status is a few hundred bytes.
_MAX_BYTES = 256 * 1024
# Never in a URL, which is stored with the job and shown in reports.
PASSWORD_VARIABLE = "STEELYARD_METER_PASSWORD"  # noqa: S105


def base_address(url: MeterUrl) -> tuple[str, str]:
    """Return "http://HOST:PORT" and the query of a plug's URL.

    Raises:
        UsageError: ``bad_meter``, also for a password in the URL.
    """
    parts = urlsplit(url.address)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "bad_meter",
            f"the URL of the {url.scheme} meter at {parts.hostname} holds a user or password, which would be stored "
            f"and shown: set {PASSWORD_VARIABLE} where the controller runs instead",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.path not in ("", "/"):
        raise UsageError("bad_meter", f"meter {url.text!r} has no address such as {url.scheme}:http://192.168.1.20")
    return f"{parts.scheme}://{parts.netloc}", parts.query


def password() -> str:
    """Return the password for plugs, "" when none is set."""
    return os.environ.get(PASSWORD_VARIABLE, "")


def fetch_json(address: str, path: str, *, digest_user: str = "", timeout_s: float = TIMEOUT_S) -> object:
    """Return the JSON that ``address + path`` answers; a redirection is not followed: a plug has nowhere to send us.

    Args:
        address: "http://192.168.1.20".
        path: With its query, as it stands on the request line. The query may hold a password and is never repeated.
        digest_user: Answers a challenge (RFC 7616) with this user and the password of the environment; "" does not.
        timeout_s: For each step of the conversation, and twice that for the whole of an answer.

    Raises:
        MeterError: refused, silent, an error status, or something that is no JSON.
    """
    answer = _get(address, path, {}, timeout_s)
    if answer.status != http.client.UNAUTHORIZED:
        return _content(answer, address, path)
    if not (digest_user and password()):
        raise _locked(address)
    challenge = answer.headers.get("WWW-Authenticate", "")
    header = answer_challenge(challenge, user=digest_user, password=password(), path=path)
    if header is None:
        raise _trouble(address, f"asks for a login that is not known here ({challenge[:60]!r})")
    answer = _get(address, path, {"Authorization": header}, timeout_s)
    if answer.status == http.client.UNAUTHORIZED:
        raise _locked(address)
    return _content(answer, address, path)


def _get(address: str, path: str, headers: dict[str, str], timeout_s: float) -> WebAnswer:
    # Straight to the plug: plugs live in the local network, where a proxy of the environment is none.
    request = WebRequest(address=address, path=path, headers=headers, timeout_s=timeout_s, max_bytes=_MAX_BYTES)
    try:
        return exchange(request)
    except WebTroubleError as error:
        raise _trouble(address, str(error)) from error


def _content(answer: WebAnswer, address: str, path: str) -> object:
    if answer.status != http.client.OK:
        raise _trouble(address, f"answered {path.partition('?')[0]} with status {answer.status}: check its address")
    return _decoded(answer.body, address)


def number_of(value: object) -> float | None:
    """Return a number of JSON, None for anything else; what no float can hold is infinite."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return inf


def _decoded(content: bytes, address: str) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _trouble(address, f"answered something that is no JSON ({content[:40]!r})") from error


def _locked(address: str) -> MeterError:
    return _trouble(address, f"wants a password: set {PASSWORD_VARIABLE} where the controller runs")


def _trouble(address: str, what: str) -> MeterError:
    return MeterError("meter_silent", f"the meter at {address} {what}")

"""Asking a plug over HTTP for JSON: bounded in time and size, and every trouble a sentence. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from steelyard.errors import UsageError
from steelyard.meters.contract import MeterError, MeterUrl
from steelyard.meters.digest import answer_challenge

TIMEOUT_S = 3.0
# A plug's status is a few hundred bytes.
_MAX_BYTES = 256 * 1024
# Never in a URL, which is stored with the job and shown in reports.
PASSWORD_VARIABLE = "STEELYARD_METER_PASSWORD"  # noqa: S105
# Plugs live in the local network; a proxy of the environment would not find them.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


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
    """Return the JSON that ``address + path`` answers.

    Args:
        address: "http://192.168.1.20".
        path: With its query, as it stands on the request line.
        digest_user: Answers a challenge (RFC 7616) with this user and the password of the environment; "" does not.
        timeout_s: For each step of the conversation.

    Raises:
        MeterError: refused, silent, an error status, or something that is no JSON.
    """
    try:
        return _decoded(_get(address, path, {}, timeout_s), address)
    except urllib.error.HTTPError as error:
        with error:
            challenge = error.headers.get("WWW-Authenticate", "")
        if error.code != http.client.UNAUTHORIZED:
            raise _trouble(address, f"answered {path} with status {error.code}") from error
        if not (digest_user and password()):
            raise _locked(address) from error
    header = answer_challenge(challenge, user=digest_user, password=password(), path=path)
    if header is None:
        raise _trouble(address, f"asks for a login that is not known here ({challenge[:60]!r})")
    try:
        return _decoded(_get(address, path, {"Authorization": header}, timeout_s), address)
    except urllib.error.HTTPError as error:
        error.close()
        raise _locked(address) from error


def _get(address: str, path: str, headers: dict[str, str], timeout_s: float) -> bytes:
    request = urllib.request.Request(address + path, headers=headers)  # noqa: S310 - base_address let only http pass
    try:
        with _OPENER.open(request, timeout=timeout_s) as response:
            return bytes(response.read(_MAX_BYTES))
    except urllib.error.HTTPError:
        raise
    except TimeoutError as error:
        raise _trouble(address, f"did not answer within {timeout_s:g} s") from error
    except urllib.error.URLError as error:
        late = isinstance(error.reason, TimeoutError)
        what = (
            f"did not answer within {timeout_s:g} s"
            if late
            else f"cannot be reached ({error.reason}): check its address"
        )
        raise _trouble(address, what) from error
    except (OSError, http.client.HTTPException) as error:
        raise _trouble(address, f"broke the connection off ({type(error).__name__}: {error})") from error


def _decoded(content: bytes, address: str) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _trouble(address, f"answered something that is no JSON ({content[:40]!r})") from error


def _locked(address: str) -> MeterError:
    return _trouble(address, f"wants a password: set {PASSWORD_VARIABLE} where the controller runs")


def _trouble(address: str, what: str) -> MeterError:
    return MeterError("meter_silent", f"the meter at {address} {what}")

"""Switches that answer JSON over HTTP: the address, and the trouble in words of a switch."""

from __future__ import annotations

from urllib.parse import urlsplit

from steelyard.errors import UsageError
from steelyard.meters.contract import MeterError
from steelyard.meters.http import fetch_json
from steelyard.power_switches.contract import PowerError


def host_and_number(address: str, example: str) -> tuple[str, int | None]:
    """Return "http://HOST[:PORT]" and the number behind the slash of "shelly://HOST[:PORT]/NUMBER", None without one.

    Raises:
        UsageError: ``bad_switch``, also for a password in the address.
    """
    parts = urlsplit(address)
    number = parts.path.strip("/")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "bad_switch",
            f"the address of the {parts.scheme} switch at {parts.hostname} holds a user or password, which would be "
            "stored and shown: set STEELYARD_METER_PASSWORD where the controller runs instead",
        )
    odd = parts.query or parts.fragment or not parts.hostname or port == -1
    if odd or not (number == "" or (number.isascii() and number.isdigit())):
        raise UsageError("bad_switch", f"switch {address!r} is no address such as {example}")
    return f"http://{parts.netloc}", int(number) if number else None


def ask(base: str, path: str, *, digest_user: str = "") -> object:
    """Return what a switch answers.

    Raises:
        PowerError: ``power_switch_silent``.
    """
    try:
        return fetch_json(base, path, digest_user=digest_user)
    except MeterError as error:
        what = str(error).replace("the meter at", "the switch at", 1)
        raise PowerError("power_switch_silent", what) from error


def disobedient(base: str, *, on: bool, answer: object) -> PowerError:
    """Return the error of a switch that answered something else."""
    word = "on" if on else "off"
    return PowerError(
        "power_switch_failed", f"the switch at {base} is not {word} after it was told ({str(answer)[:80]}); look at it"
    )

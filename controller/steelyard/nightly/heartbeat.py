"""A dead man's switch: a service is told that a night began and how it ended, and complains when it hears nothing.

The URLs are as healthchecks.io documents its pinging API: URL/start, URL for success, URL/fail or URL/EXIT_CODE.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from steelyard.errors import EXIT_FINE, EXIT_UNMET
from steelyard.notify.address import split_url
from steelyard.notify.errors import NotifyError
from steelyard.notify.secret import Secret
from steelyard.notify.secret_keys import secret_of
from steelyard.notify.sending import ChannelResult, delivered
from steelyard.notify.web import Service
from steelyard.notify.world import World
from steelyard.suites.errors import Problems
from steelyard.suites.tables import Table

CHANNEL = "heartbeat"
# A night that found a regression has done its work: the digests tell of it, and this switch is for silence.
_ALIVE = frozenset({EXIT_FINE, EXIT_UNMET})
_KEYS = ("url", "url_env", "url_file", "start", "success", "fail")
_SUFFIX = re.compile(r"(?:[/?][A-Za-z0-9._~/?&=%+-]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Where to say that a night is alive.

    ``url`` is a Secret where whoever knows it could ping (it is one as a rule). What is put behind it: ``start`` when a
    night begins (None: nothing is said then), ``success`` when it ends with 0 or 1, ``fail`` when it ends otherwise
    (incomplete, no device, a crash). ``{exit_code}`` in the last two is the night's.
    """

    url: str | Secret
    start: str | None = "/start"
    success: str = ""
    fail: str = "/fail"

    def ping_start(self, world: World) -> ChannelResult | None:
        """Say that a night begins; None where nothing is said then. A failure is a result, and fails no night."""
        return None if self.start is None else self._ping(self.start, world)

    def ping_end(self, exit_code: int, world: World) -> ChannelResult:
        """Say how a night ended. A failure is a result, and fails no night."""
        suffix = self.success if exit_code in _ALIVE else self.fail
        return self._ping(suffix.replace("{exit_code}", str(exit_code)), world)

    def _ping(self, suffix: str, world: World) -> ChannelResult:
        return delivered(CHANNEL, CHANNEL, partial(self._send, suffix, world), world)

    def _send(self, suffix: str, world: World) -> None:
        url = self.url.read(world.environ) if isinstance(self.url, Secret) else self.url
        try:
            address, path = split_url(f"{url.rstrip('/')}{suffix}", is_secret=isinstance(self.url, Secret))
        except ValueError as error:
            raise NotifyError("bad_address", f"the dead man's switch: {error}") from error
        service = Service(shown=f"the dead man's switch at {address}", address=address, headers={}, secrets=(path, url))
        service.ask("GET", path, world)


def read_heartbeat(table: Mapping[str, Any], *, folder: Path, source: str = "the suite") -> Heartbeat | None:
    """Return the switch of a ``[heartbeat]`` table whose ``${NAME}`` are filled in; None for an empty one.

    Raises:
        SuiteError: ``invalid_heartbeat``, with all problems.
    """
    if not table:
        return None
    problems = Problems()
    found = _read(Table(table, f"{source} [heartbeat]", problems), folder)
    problems.refuse("invalid_heartbeat")
    return found


def _read(table: Table, folder: Path) -> Heartbeat | None:
    table.refuse_unknown(_KEYS)
    url, secret = table.text("url"), secret_of(table, "url", folder)
    if bool(url) == bool(secret):
        table.complain("url", "name one of url, url_env and url_file")
        return None
    if url:
        try:
            split_url(url, is_secret=False)
        except ValueError:
            table.complain("url", f"{url!r} is no URL such as https://hc.example.org/ping/1234")
    # Where any ping counts as the end of a night, none is sent at its start.
    start = None if table.raw().get("start") is False else _suffix(table, "start", "/start")
    return Heartbeat(
        url=secret or url, start=start, success=_suffix(table, "success", ""), fail=_suffix(table, "fail", "/fail")
    )


def _suffix(table: Table, key: str, default: str) -> str:
    suffix = table.text(key, default)
    if _SUFFIX.fullmatch(suffix.replace("{exit_code}", "0") if key != "start" else suffix) is None:
        table.complain(key, f'{suffix!r} cannot stand behind a URL; write one such as "/{key}", or "" for nothing')
    return suffix

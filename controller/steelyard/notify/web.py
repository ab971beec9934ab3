"""Asking a service over HTTP for JSON, and what its refusals mean for another try."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from steelyard.notify.errors import NotifyError
from steelyard.notify.secret import without_secrets
from steelyard.notify.world import World
from steelyard.web_request import WebAnswer, WebRequest, WebTroubleError, exchange

# A page of a hundred long comments is some megabytes.
_MAX_BYTES = 16 * 1024 * 1024
_MAX_ANSWER_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service at an address ("https://api.github.com"), with the headers that every request has.

    ``secrets`` are taken out of every sentence. ``shown`` is what the service is called in sentences.
    """

    shown: str
    address: str
    headers: Mapping[str, str]
    secrets: tuple[str, ...]

    def ask(
        self, method: str, path: str, world: World, *, body: Mapping[str, Any] | None = None, is_repeatable: bool = True
    ) -> Any:
        """Return the JSON of an answer, None for an empty one or one that is no JSON (chat services say "ok").

        Args:
            method: GET, POST, PUT or PATCH.
            path: With its query.
            world: How long to wait.
            body: Sent as JSON.
            is_repeatable: The same request twice makes no second message, so that silence may be answered by a retry.

        Raises:
            NotifyError: ``service_silent`` or ``service_refused``.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = {"User-Agent": "steelyard", "Accept": "application/json", **self.headers}
        if content is not None:
            headers["Content-Type"] = "application/json"
        request = WebRequest(
            address=self.address,
            path=path,
            method=method,
            headers=headers,
            body=content,
            timeout_s=world.timeout_s,
            max_bytes=_MAX_BYTES,
            through_proxy=True,
        )
        try:
            answer = exchange(request)
        except WebTroubleError as error:
            raise self._silent(error, is_repeatable=is_repeatable) from error
        if not http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
            raise self._refused(answer, world, is_repeatable=is_repeatable)
        if len(answer.body) >= _MAX_BYTES:
            raise NotifyError("service_refused", f"{self.shown} answered with more than {_MAX_BYTES // 2**20} MiB")
        return _decoded(answer.body)

    def _silent(self, error: WebTroubleError, *, is_repeatable: bool) -> NotifyError:
        may_have_arrived = error.was_sent and not is_repeatable
        note = "; the message may have arrived, and is not sent again" if may_have_arrived else ""
        what = without_secrets(f"{self.shown} {error}{note}", self.secrets)
        return NotifyError("service_silent", what, is_transient=not may_have_arrived)

    def _refused(self, answer: WebAnswer, world: World, *, is_repeatable: bool) -> NotifyError:
        words = " ".join(answer.body[:2000].decode(errors="replace").split())[:_MAX_ANSWER_CHARACTERS]
        what = f"{self.shown} answered with status {answer.status}{_hint(answer)}" + (f": {words}" if words else "")
        # 403 with Retry-After is how GitHub says "too many" (Rate limits for the REST API, secondary limits).
        is_busy = answer.status in (429, 503) or (answer.status == 403 and "Retry-After" in answer.headers)
        is_transient = is_busy or (answer.status >= 500 and is_repeatable)
        return NotifyError(
            "service_refused",
            without_secrets(what, self.secrets),
            is_transient=is_transient,
            wait_s=_wait_s(answer, world.now()) if is_busy else None,
        )


def _hint(answer: WebAnswer) -> str:
    if answer.status in (401, 403):
        return " (is the token right, and may it write there?)"
    if answer.status in (301, 302, 307, 308):
        return " (redirections are not followed: write the final address)"
    return " (no such place, or the token may not see it)" if answer.status == 404 else ""


def _wait_s(answer: WebAnswer, now: datetime) -> float | None:
    """Return what Retry-After asks for (RFC 9110, 10.2.3): seconds, or a date."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - now).total_seconds())


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None

"""A webhook: Slack's incoming webhooks and what understands them (Mattermost, Rocket.Chat, Discord's /slack)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard.notify.address import split_url
from steelyard.notify.digest import PASS, Digest
from steelyard.notify.errors import NotifyError
from steelyard.notify.secret import Secret
from steelyard.notify.shortening import shortened, shortened_line
from steelyard.notify.web import Service
from steelyard.notify.world import World

# Slack shows up to 40,000 characters and advises 4,000 (docs of chat.postMessage); Mattermost's default is 16,383.
_MAX_TEXT = 4000
_MAX_TITLE = 150
SLACK, JSON = "slack", "json"
_SIGNS = {PASS: ":white_check_mark:", "REGRESSED": ":red_circle:"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One URL that takes JSON.

    ``url`` is a Secret where the URL is one (Slack's is), else the URL itself. ``headers`` are sent with it. ``format``
    is "slack" (one text) or "json": the digest's own fields, for programs.
    """

    name: str
    url: str | Secret
    headers: Mapping[str, Secret] = field(default_factory=dict)
    format: str = SLACK
    kind: str = "webhook"

    def send(self, digest: Digest, world: World) -> None:
        """Post the digest. A webhook has no memory: only what surely did not arrive is sent again.

        Raises:
            NotifyError: ``missing_secret``, ``bad_address``, ``service_silent``, ``service_refused``.
        """
        url = self.url.read(world.environ) if isinstance(self.url, Secret) else self.url
        headers = {name: secret.read(world.environ) for name, secret in self.headers.items()}
        shown = f"the webhook {self.name}"
        try:
            address, path = split_url(url, is_secret=bool(headers))
        except ValueError as error:
            raise NotifyError("bad_address", f"{shown}: {error}") from error
        # The whole path of Slack's URLs is a password.
        secrets = (*headers.values(), *([path] if path != "/" else []))
        service = Service(shown=f"{shown} at {address}", address=address, headers=headers, secrets=secrets)
        body = _slack_body(digest) if self.format == SLACK else _plain_body(digest)
        service.ask("POST", path, world, body=body, is_repeatable=False)


def _slack_body(digest: Digest) -> dict[str, object]:
    lines = "\n".join([*(_slack_text(line) for line in digest.lines), *([digest.url] if digest.url else [])])
    title = _slack_text(shortened_line(digest.title, _MAX_TITLE))
    sign = _SIGNS.get(digest.verdict, ":warning:")
    return {"text": shortened(f"{sign} *{title}*\n{lines}", _MAX_TEXT, url=digest.url)}


def _plain_body(digest: Digest) -> dict[str, object]:
    fields = ("key", "number", "title", "verdict", "lines", "markdown", "url")
    return {"kind": "digest", "schema_version": 1, **{name: getattr(digest, name) for name in fields}}


def _slack_text(text: str) -> str:
    """Escape Slack's control characters (Formatting text for app surfaces): a model's name calls no channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

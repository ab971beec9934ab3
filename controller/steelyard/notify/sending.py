"""Sends a digest to every channel, each by itself: one that fails holds none up, and every end is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from steelyard.notify.contract import Channel
from steelyard.notify.digest import PASS, Digest
from steelyard.notify.errors import NotifyError
from steelyard.notify.retrying import with_retries
from steelyard.notify.world import World

ALWAYS, NOT_PASS = "always", "not_pass"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A channel, and on which nights it is told: "always", or "not_pass"."""

    channel: Channel
    when: str = ALWAYS

    def wants(self, digest: Digest) -> bool:
        """Say whether the channel is told of this night."""
        return self.when == ALWAYS or digest.verdict != PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelResult:
    """What became of a digest at one channel; ``reason`` is "" where it was sent."""

    channel: str
    kind: str
    is_sent: bool
    reason: str = ""
    attempt_count: int = 1

    def to_plain(self) -> dict[str, Any]:
        """Return it for a note of the night."""
        return {
            "channel": self.channel,
            "kind": self.kind,
            "is_sent": self.is_sent,
            "reason": self.reason,
            "attempt_count": self.attempt_count,
        }


def send_to_all(
    subscriptions: Sequence[Subscription], digest: Digest, world: World, *, done: Sequence[str] = ()
) -> tuple[ChannelResult, ...]:
    """Send a digest to the channels that want it, but for those in ``done`` (a night that is resumed)."""
    wanted = [one.channel for one in subscriptions if one.wants(digest) and one.channel.name not in done]
    return tuple(
        delivered(channel.name, channel.kind, partial(channel.send, digest, world), world) for channel in wanted
    )


def delivered(name: str, kind: str, send: Callable[[], None], world: World) -> ChannelResult:
    """Send with retries, and return what became of it: a failure is a result, and stops nothing."""
    attempts = 0

    def send_once() -> None:
        nonlocal attempts
        attempts += 1
        send()

    try:
        with_retries(send_once, world)
    except NotifyError as error:
        _logger.warning("%s was not told: %s", name, error)
        return ChannelResult(channel=name, kind=kind, is_sent=False, reason=str(error), attempt_count=attempts)
    return ChannelResult(channel=name, kind=kind, is_sent=True, attempt_count=attempts)

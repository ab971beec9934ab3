"""Trying again: what may pass is tried a few times, with growing waits that are bounded in all."""

from __future__ import annotations

import logging
from collections.abc import Callable

from steelyard.notify.errors import NotifyError
from steelyard.notify.world import World

ATTEMPTS = 4
_FIRST_WAIT_S = 1.0
# A night's end waits no longer than this for one channel, whatever the service asks for.
MAX_WAIT_S = 60.0

_logger = logging.getLogger(__name__)


def with_retries(send: Callable[[], None], world: World) -> None:
    """Call ``send`` until it succeeds, at most ``ATTEMPTS`` times.

    Waits are random up to 1, 2, 4 s (full jitter, as in Brooker, Exponential Backoff And Jitter, 2015), or what the
    service asked for; ``MAX_WAIT_S`` in all.

    Raises:
        NotifyError: That of the last try; one that no other try helps against at once.
    """
    left_s = MAX_WAIT_S
    for attempt in range(1, ATTEMPTS + 1):
        error = _trouble(send)
        if error is None:
            return
        if not error.is_transient or attempt == ATTEMPTS:
            raise error
        wait_s = error.wait_s
        if wait_s is None:
            wait_s = world.jitter() * _FIRST_WAIT_S * 2 ** (attempt - 1)
        if wait_s > left_s:
            raise _too_long(error, wait_s)
        _logger.info("not sent: %s; another try in %.1f s", error, wait_s)
        world.sleep(wait_s)
        left_s -= wait_s


def _trouble(send: Callable[[], None]) -> NotifyError | None:
    try:
        send()
    except NotifyError as error:
        return error
    return None


def _too_long(error: NotifyError, wait_s: float) -> NotifyError:
    return NotifyError(error.reason, f"{error}; it asks to wait {wait_s:.0f} s, longer than a night's end waits")

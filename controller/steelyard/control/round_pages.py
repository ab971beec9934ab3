"""One page of a job's rounds: a job that ran for weeks does not fit into one message."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.errors import UsageError
from steelyard_protocol.v1 import control_pb2

MOST_ROUNDS = 1_000


def page_of_rounds(
    rounds: Sequence[control_pb2.RoundReference], *, page_size: int, page_token: str
) -> tuple[Sequence[control_pb2.RoundReference], str]:
    """Return the rounds of a page and the token of the next one, "" after the last.

    ``page_size`` 0 is all that is left: a client from before there were pages asks once. The token is the digest of the
    last round: rounds that are recorded meanwhile move nothing.

    Raises:
        UsageError: ``invalid_page_size`` or ``invalid_page_token``.
    """
    if page_size < 0:
        raise UsageError("invalid_page_size", f"page size {page_size} is negative; give 1 to {MOST_ROUNDS}, or 0")
    first = 0
    if page_token:
        digests = [one.result_digest for one in rounds]
        if page_token not in digests:
            raise UsageError(
                "invalid_page_token", f"page token {page_token[:40]!r} is not one that this list gave out; begin anew"
            )
        first = digests.index(page_token) + 1
    last = first + min(page_size, MOST_ROUNDS) if page_size else len(rounds)
    page = rounds[first:last]
    return page, page[-1].result_digest if last < len(rounds) else ""

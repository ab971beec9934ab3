"""Lists in pages: a token is the number of the last row given, so that new rows never shift a page."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, Select

from steelyard.errors import UsageError

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500

_TOKEN = re.compile(r"[0-9]{1,18}")


def fetch_page(
    connection: Connection,
    query: Select[Any],
    number: Column[int],
    *,
    page_size: int,
    page_token: str,
    newest_first: bool,
) -> tuple[list[RowMapping], str]:
    """Run ``query``, which selects ``number``, for one page.

    Args:
        connection: An open transaction.
        query: What to select, without order and limit.
        number: The rising key of the rows.
        page_size: 0 for the default; more than the most gives the most, as AIP-158 has it.
        page_token: "" for the first page, else what the page before returned.
        newest_first: The order.

    Returns:
        The rows and the token of the next page, "" after the last one.

    Raises:
        UsageError: ``invalid_page_size`` or ``invalid_page_token``.
    """
    size = _size(page_size)
    if page_token:
        last = _last_number(page_token)
        query = query.where(number < last if newest_first else number > last)
    order = number.desc() if newest_first else number.asc()
    rows = list(connection.execute(query.order_by(order).limit(size + 1)).mappings())
    if len(rows) <= size:
        return rows, ""
    return rows[:size], str(rows[size - 1][number])


def _size(page_size: int) -> int:
    if page_size < 0:
        raise UsageError("invalid_page_size", f"page size {page_size} is negative; give 1 to {MAX_PAGE_SIZE}, or 0")
    return min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def _last_number(page_token: str) -> int:
    if _TOKEN.fullmatch(page_token) is None:
        raise UsageError("invalid_page_token", f"page token {page_token[:40]!r} is not one that a list gave out")
    return int(page_token)

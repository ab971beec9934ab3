"""Pages of a service's list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

PAGE_SIZE = 100
# 2,000 comments: nobody reads a discussion that long, and ours is made anew.
_MAX_PAGES = 20


def every(page: Callable[[int], Any]) -> Iterator[Any]:
    """Yield the items of each page, from page 1 until one is not full."""
    for number in range(1, _MAX_PAGES + 1):
        items = page(number)
        if not isinstance(items, list):
            return
        yield from items
        if len(items) < PAGE_SIZE:
            return

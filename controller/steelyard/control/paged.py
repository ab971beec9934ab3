"""All of a list that comes in pages, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from steelyard.control.errors_on_wire import called

_Item = TypeVar("_Item")


def paged(page: Callable[[str], tuple[Sequence[_Item], str]]) -> Iterator[_Item]:
    """Yield what the pages hold; ``page`` goes from a token, "" at first, to the items and the next token, "" at last.

    Raises:
        SteelyardError: What the controller meant by a failure.
    """
    token = ""
    while True:
        items, token = called(lambda token=token: page(token))  # type: ignore[misc]
        yield from items
        if not token:
            return

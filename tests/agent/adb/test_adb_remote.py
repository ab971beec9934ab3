from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.adb.remote import _Reader

SAID = b"steelyard-pid=1234\nINFO: STARTING!\nsomething\n\nsteelyard-status=137\n"


class Chunks:
    """A stream that hands out what it was given, piece by piece."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [piece for piece in pieces if piece]

    async def read(self, _size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


async def heard(*pieces: bytes) -> _Reader:
    reader = _Reader(SimpleNamespace(stdout=Chunks(*pieces)))
    assert await reader.read_until_silent(5.0) is False
    return reader


@given(cuts=st.lists(st.integers(0, len(SAID)), max_size=6))
async def test_our_marks_are_read_whole_wherever_the_connection_cuts_them(cuts):
    places = [0, *sorted(cuts), len(SAID)]
    reader = await heard(*(SAID[start:end] for start, end in itertools.pairwise(places)))
    assert (reader.pid, reader.status) == (1234, 137)
    assert reader.text() == "INFO: STARTING!\nsomething\n\n"


@pytest.mark.parametrize("length", range(len(SAID)))
async def test_a_connection_that_breaks_anywhere_gives_no_status_and_no_wrong_number(length):
    reader = await heard(SAID[:length])
    assert reader.status is None
    assert reader.pid in (None, 1234)

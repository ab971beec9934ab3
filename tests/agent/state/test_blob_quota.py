"""The quota of fetched blobs: chosen, or by the disk."""

from __future__ import annotations

import pytest

from steelyard_agent.errors import UsageError
from steelyard_agent.state.blob_quota import QUOTA_VARIABLE, chosen_quota_bytes, default_quota_bytes

GIB = 1024**3


@pytest.mark.parametrize(
    ("text", "quota_bytes"),
    [("", None), ("1000", 1000), ("2GiB", 2 * GIB), ("500 MiB", 500 * 1024**2), ("0", 0), ("8KiB", 8192)],
)
def test_a_quota_is_a_number_with_a_unit(text: str, quota_bytes: int | None) -> None:
    assert chosen_quota_bytes({QUOTA_VARIABLE: text}) == quota_bytes


def test_nothing_is_chosen_where_nothing_is_said() -> None:
    assert chosen_quota_bytes({}) is None


@pytest.mark.parametrize("text", ["-1", "2 GB", "1.5GiB", "many", "2GiB\n", "9" * 16])
def test_what_is_no_size_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError, match="KiB, MiB or GiB"):
        chosen_quota_bytes({QUOTA_VARIABLE: text})


def test_the_default_is_a_quarter_of_the_disk_but_never_much() -> None:
    assert default_quota_bytes(free_bytes=3 * GIB, kept_bytes=GIB) == GIB
    assert default_quota_bytes(free_bytes=1000 * GIB, kept_bytes=0) == 4 * GIB

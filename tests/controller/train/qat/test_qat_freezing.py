"""When ranges stop following the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("torchao", reason="torchao is not installed (pip install 'steelyard[train]')")


@dataclass
class Ranges:
    is_frozen: bool = False

    def freeze(self) -> None:
        self.is_frozen = True


@pytest.mark.parametrize(
    ("share", "moving"), [(0.0, 0), (0.5, 2), (0.6, 3), (1.0, 4)], ids=["never", "half", "rounded-up", "always"]
)
def test_ranges_follow_the_values_for_a_share_of_the_epochs(share: float, moving: int) -> None:
    from steelyard.train.qat.quantized_module import FreezeRanges

    found = []
    for epoch in range(4):
        # A training that is gone on with begins with fresh hooks.
        ranges: Any = Ranges()
        FreezeRanges(ranges, after=share).before_epoch(ranges, epoch, 4)
        found.append(not ranges.is_frozen)
    assert found == [epoch < moving for epoch in range(4)]

"""Pictures lie channels last in memory while a model learns, and as usual before and behind."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

from steelyard.train.loop.memory_order import lay_as_usual, lay_channels_last  # noqa: E402

nn = torch.nn


class _Pictures(nn.Module):
    """[N, 3, 8, 8] -> [N, 256]; ``by_view`` flattens as only the usual order can be."""

    def __init__(self, *, by_view: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.by_view = by_view

    def forward(self, x: Any) -> Any:
        made = self.conv(x)
        return made.view(len(x), -1) if self.by_view else made.reshape(len(x), -1)


def _is_last(module: Any) -> bool:
    weight = module.conv.weight
    return bool(weight.is_contiguous(memory_format=torch.channels_last)) and not weight.is_contiguous()


def test_the_order_changes_no_value() -> None:
    module, pictures = _Pictures(by_view=False), torch.randn(2, 3, 8, 8)
    before = module(pictures)
    assert lay_channels_last(module, lambda: module(pictures))
    assert _is_last(module)
    torch.testing.assert_close(module(pictures), before)
    lay_as_usual(module)
    assert module.conv.weight.is_contiguous()


def test_a_graph_with_views_stays_as_usual() -> None:
    module, pictures = _Pictures(by_view=True), torch.randn(2, 3, 8, 8)
    assert not lay_channels_last(module, lambda: module(pictures))
    assert module.conv.weight.is_contiguous()


def test_a_model_without_pictures_is_not_run() -> None:
    def run() -> None:
        raise AssertionError("it was run")

    assert not lay_channels_last(nn.Linear(3, 4), run)


def test_a_lack_of_memory_is_no_question_of_order() -> None:
    def run() -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 10 bytes")

    with pytest.raises(RuntimeError, match="not enough memory"):
        lay_channels_last(_Pictures(by_view=False), run)

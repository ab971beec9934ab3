"""Small networks with what pruning and shortening must follow: attention, residual sums, grouped convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from steelyard.train.export.example import Interface
from steelyard.train.export.onnx_program import export_onnx
from steelyard.train.lift.lifted import TensorForm

WIDTH, HEADS = 16, 4


class _Layer(nn.Module):
    """A layer of a transformer, normalized behind its sums."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        query, key, value = (self._heads(one(x)) for one in (self.query, self.key, self.value))
        weights = torch.softmax(query @ key.transpose(-1, -2) * 0.5, dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(x.shape[0], x.shape[1], WIDTH)
        x = self.first(x + self.out(mixed))
        return self.second(x + self.narrow(torch.relu(self.wide(x))))

    def _heads(self, x: Any) -> Any:
        return x.reshape(x.shape[0], x.shape[1], HEADS, WIDTH // HEADS).transpose(1, 2)


class _Transformer(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.words = nn.Embedding(20, WIDTH)
        self.layers = nn.Sequential(*(_Layer() for _ in range(depth)))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, ids: Any) -> Any:
        return self.head(self.layers(self.words(ids)).mean(dim=1))


class _Residual(nn.Module):
    """A residual sum, a grouped and a depthwise convolution, BatchNorm, and a flattened map before a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.inner, self.back = nn.Conv2d(8, 12, 3, padding=1), nn.Conv2d(12, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.depthwise, self.point = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 6, 1)
        self.head = nn.Linear(6 * 16, 2)

    def forward(self, image: Any) -> Any:
        x = torch.relu(self.norm(self.first(image)))
        x = torch.relu(x + self.back(torch.relu(self.inner(x))))
        x = torch.relu(self.depthwise(torch.relu(self.grouped(x))))
        return self.head(nn.functional.avg_pool2d(torch.relu(self.point(x)), 2).flatten(1))


def transformer(path: Path, *, depth: int = 3) -> Path:
    """Write ids [N, 6] -> logits [N, 3]."""
    torch.manual_seed(0)
    ids = TensorForm(name="ids", dtype="int64", shape=("N", 6), sample_shape=(2, 6))
    export_onnx(_Transformer(depth), Interface(inputs=(ids,), output_names=("logits",)), path, folded=False)
    return path


def residual(path: Path) -> Path:
    """Write image [N, 1, 8, 8] -> logits [N, 2]."""
    torch.manual_seed(0)
    image = TensorForm(name="image", dtype="float32", shape=("N", 1, 8, 8), sample_shape=(2, 1, 8, 8))
    export_onnx(_Residual(), Interface(inputs=(image,), output_names=("logits",)), path, folded=False)
    return path

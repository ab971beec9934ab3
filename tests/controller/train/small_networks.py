"""Small networks with what pruning and shortening must follow: attention, residual sums, grouped convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from steelyard.train.export.example import Interface
from steelyard.train.export.onnx_program import export_onnx
from steelyard.train.lift.lifted import TensorForm
from tests.controller.train.lift.graphs import drawn, node, write

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")
nn = torch.nn

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
    def __init__(self, depth: int, sum_count: int) -> None:
        super().__init__()
        self.words = nn.Embedding(20, WIDTH)
        self.sums = nn.ParameterList(torch.randn(6, WIDTH) for _ in range(sum_count))
        self.layers = nn.Sequential(*(_Layer() for _ in range(depth)))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, ids: Any) -> Any:
        return self.head(self.layers(sum(self.sums, start=self.words(ids))).mean(dim=1))


def transformer(path: Path, *, depth: int = 3, sum_count: int = 0) -> Path:
    """Write ids [N, 6] -> logits [N, 3]; ``sum_count`` sums with numbers follow the words, as of positions."""
    torch.manual_seed(0)
    ids = TensorForm(name="ids", dtype="int64", shape=("N", 6), sample_shape=(2, 6))
    export_onnx(_Transformer(depth, sum_count), Interface(inputs=(ids,), output_names=("logits",)), path, folded=False)
    return path


def residual(path: Path) -> Path:
    """Write image [N, 1, 8, 8] -> logits [N, 2], with BatchNorm, a sum, grouped and depthwise convolutions."""
    sizes = {"first": (8, 1, 3, 3), "inner": (12, 8, 3, 3), "back": (8, 12, 3, 3), "grouped": (8, 4, 3, 3)}
    sizes |= {"depthwise": (8, 1, 3, 3), "point": (6, 8, 1, 1), "head": (2, 6 * 16)}
    stored = {f"{name}.weight": drawn(*size, seed=at) for at, (name, size) in enumerate(sizes.items())}
    stored |= {f"{name}.bias": drawn(size[0], seed=at) for at, (name, size) in enumerate(sizes.items())}
    stored |= {f"norm.{name}": np.abs(drawn(8, seed=at)) + 0.5 for at, name in enumerate(("scale", "mean", "var"))}

    def convolution(name: str, given: str, **attributes: int) -> list[onnx.NodeProto]:
        pads = [1, 1, 1, 1] if sizes[name][-1] == 3 else [0, 0, 0, 0]
        return [node("Conv", f"{given} {name}.weight {name}.bias", name, pads=pads, **attributes)]

    nodes = [
        *convolution("first", "image"),
        node("BatchNormalization", "first norm.scale first.bias norm.mean norm.var", "normal"),
        node("Relu", "normal", "r1"),
        *convolution("inner", "r1"),
        node("Relu", "inner", "r2"),
        *convolution("back", "r2"),
        node("Add", "r1 back", "sum"),
        node("Relu", "sum", "r3"),
        *convolution("grouped", "r3", group=2),
        node("Relu", "grouped", "r4"),
        *convolution("depthwise", "r4", group=8),
        node("Relu", "depthwise", "r5"),
        *convolution("point", "r5"),
        node("AveragePool", "point", "pooled", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "pooled", "flat", axis=1),
        node("Gemm", "flat head.weight head.bias", "logits", transB=1),
    ]
    return write(path, nodes, {"image": ["N", 1, 8, 8]}, {"logits": ["N", 2]}, stored)

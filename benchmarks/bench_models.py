"""The models that benchmarks run: a tiny one, one well above a millisecond, and a shipped real one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.demo.run import assets

_TINY_WIDTH = 256
_CHANNELS, _IMAGE_SIZE = 32, 56


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchModel:
    """A model with one float32 input of a fixed shape."""

    name: str
    path: Path
    input_name: str
    shape: tuple[int, ...]
    output_name: str


def bench_models(folder: Path) -> list[BenchModel]:
    """Write the generated models into ``folder`` and return all: about 20 us, 0.5 ms and 2 ms on a server's core."""
    tiny, large = folder / "tiny.onnx", folder / "conv.onnx"
    _write_mlp(tiny, width=_TINY_WIDTH, depth=6)
    _write_convolutions(large, channels=_CHANNELS, size=_IMAGE_SIZE, depth=8)
    image = (1, _CHANNELS, _IMAGE_SIZE, _IMAGE_SIZE)
    models = [
        BenchModel(name="tiny MLP", path=tiny, input_name="x", shape=(1, _TINY_WIDTH), output_name="y"),
        BenchModel(name="conv net", path=large, input_name="x", shape=image, output_name="y"),
    ]
    models.insert(1, shipped_model("fashion_resnet"))
    return models


def shipped_model(name: str) -> BenchModel:
    """Return one of the demo's models: "fashion_resnet", "fashion_mobilenet"."""
    path = assets() / f"{name}.onnx"
    return BenchModel(name=name, path=path, input_name="image", shape=(1, 1, 28, 28), output_name="logits")


def stacked_convolutions(folder: Path, *, depth: int) -> BenchModel:
    """Write a stack of ``depth`` equal convolutions, of which each takes its share of the time: 1 to 2 ms in all."""
    channels, size = 32, 28
    path = folder / f"stack-{depth}.onnx"
    _write_convolutions(path, channels=channels, size=size, depth=depth)
    shape = (1, channels, size, size)
    return BenchModel(name=f"stack_{depth}", path=path, input_name="x", shape=shape, output_name="y")


def doing_nothing(folder: Path) -> BenchModel:
    """Write a model that hands its input on: what a call takes by itself."""
    from onnx import helper

    path = folder / "nothing.onnx"
    _save(path, [helper.make_node("Identity", ["x"], ["y"])], [], [1, 1], [1, 1])
    return BenchModel(name="nothing", path=path, input_name="x", shape=(1, 1), output_name="y")


def heavy_models(folder: Path) -> list[BenchModel]:
    """Write models whose weights take 24 MiB, 64 MiB and 128 MiB."""
    models = []
    for size_mib in (24, 64, 128):
        path = folder / f"heavy-{size_mib}.onnx"
        width = 1024
        _write_mlp(path, width=width, depth=size_mib * 2**20 // (4 * width * width))
        models.append(BenchModel(name=f"{size_mib} MiB", path=path, input_name="x", shape=(1, width), output_name="y"))
    return models


def _write_mlp(path: Path, *, width: int, depth: int) -> None:
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for layer in range(depth):
        scale = 1.0 / np.sqrt(width)
        weight = rng.normal(0, scale, (width, width)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"m{layer}"]))
        last = "y" if layer == depth - 1 else f"r{layer}"
        nodes.append(helper.make_node("Relu", [f"m{layer}"], [last]))
    _save(path, nodes, weights, [1, width], [1, width])


def _write_convolutions(path: Path, *, channels: int, size: int, depth: int) -> None:
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for layer in range(depth):
        scale = np.sqrt(2.0 / (channels * 9))
        weight = rng.normal(0, scale, (channels, channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [last, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        last = "y" if layer == depth - 1 else f"r{layer}"
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [last]))
    _save(path, nodes, weights, [1, channels, size, size], [1, channels, size, size])


def _save(
    path: Path, nodes: list[object], weights: list[object], input_shape: list[int], output_shape: list[int]
) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save_model(model, path)

"""Models for the tests of repairs: small CNNs whose damage by quantization is planted, and what measures it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.calibration import CalibrationData, read_calibration
from steelyard.compress.contract import FLOAT32, Ancestor, StepContext, StepReport
from steelyard.compress.steps.static_int8 import StaticInt8
from tests.controller.compress.inputs import packed_samples

_SIZE = 12
CHANNELS = 16


class Net:
    """Collects nodes and weights; every layer gets the name of its output."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def store(self, name: str, values: Any) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=f"{output}_node", **attributes))
        return output

    def conv(
        self,
        source: str,
        output: str,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        group: int = 1,
        has_bias: bool = True,
        output_scale: Any = 1.0,
        input_scale: Any = 1.0,
    ) -> str:
        fan_in = inputs // group * kernel * kernel
        weight = self.rng.standard_normal((outputs, inputs // group, kernel, kernel)) * np.sqrt(2.0 / fan_in)
        by_output = np.broadcast_to(np.asarray(output_scale, dtype=float), (outputs,))
        by_input = np.broadcast_to(np.asarray(input_scale, dtype=float), (inputs,))
        if group == inputs and group > 1:
            weight = weight / by_input.reshape(-1, 1, 1, 1)
        else:
            weight = weight / by_input[: inputs // group].reshape(1, -1, 1, 1)
        names = [source, self.store(f"{output}_w", weight * by_output.reshape(-1, 1, 1, 1))]
        if has_bias:
            names.append(self.store(f"{output}_b", self.rng.standard_normal(outputs) * 0.2 * by_output))
        return self.node("Conv", names, output, group=group, pads=[kernel // 2] * 4)

    def head(self, source: str, channels: int, classes: int = 10) -> str:
        pooled = self.node("GlobalAveragePool", [source], "pooled")
        flat = self.node("Flatten", [pooled], "flat")
        weight = self.store("head_w", self.rng.standard_normal((channels, classes)))
        return self.node("Gemm", [flat, weight, self.store("head_b", np.zeros(classes))], "logits")

    def write(self, path: Path, output: Sequence[object] = ("logits", ("batch", 10)), size: int = _SIZE) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, size, size])],
            [helper.make_tensor_value_info(str(output[0]), TensorProto.FLOAT, list(output[1]))],  # type: ignore[call-overload]
            self.tensors,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        onnx.checker.check_model(model)
        onnx.save_model(model, path)
        return path


def depthwise_net(path: Path, *, imbalance: float = 1.0, seed: int = 0, cap: float | None = None) -> Path:
    """Write conv 3x3, depthwise 3x3, conv 1x1, depthwise 3x3, conv 1x1, head.

    ``imbalance`` is the ratio of the largest scale of a channel between layers to the smallest: each is undone by the
    layer behind it, so that the float model computes the same for every value. With ``cap`` the Relus are Clips.
    """
    net = Net(seed)
    between = [np.exp(net.rng.permutation(np.linspace(-0.5, 0.5, CHANNELS)) * np.log(imbalance)) for _ in range(4)]
    last, inputs, before = "image", 1, np.ones(1)
    for number, (kernel, is_depthwise) in enumerate([(3, False), (3, True), (1, False), (3, True), (1, False)]):
        after = between[number] if number < len(between) else np.ones(CHANNELS)
        group = CHANNELS if is_depthwise else 1
        last = net.conv(
            last, f"layer{number}", inputs, CHANNELS, kernel=kernel, group=group, output_scale=after, input_scale=before
        )
        if cap is None:
            last = net.node("Relu", [last], f"act{number}")
        else:
            last = net.node(
                "Clip", [last, net.store(f"low{number}", 0.0), net.store(f"high{number}", cap)], f"act{number}"
            )
        inputs, before = CHANNELS, after
    net.head(last, CHANNELS)
    return net.write(path)


def planted_net(path: Path, sensitive: int = 3) -> Path:
    """Write eight 1x1 layers; the input channels of one have very different weights, which one scale cannot hold."""
    net = Net(7)
    last, inputs = "image", 1
    for number in range(8):
        if number == sensitive:
            scale = np.where(np.arange(CHANNELS) == 0, 1e-3, 1.0)
            last = net.node("Mul", [last, net.store("shrink", scale.reshape(1, -1, 1, 1))], "shrunk")
            last = net.conv(last, f"layer{number}", inputs, CHANNELS, input_scale=scale)
        else:
            last = net.conv(last, f"layer{number}", inputs, CHANNELS)
        last, inputs = net.node("Relu", [last], f"act{number}"), CHANNELS
    net.head(last, CHANNELS)
    return net.write(path)


def calibration(count: int = 32, seed: int = 1, size: int = _SIZE) -> CalibrationData:
    return read_calibration(packed_samples(count, (1, size, size), seed=seed))


def context_for(work_dir: Path, float_path: Path, data: CalibrationData | None, **fields: Any) -> StepContext:
    """Return the context of a step whose recipe began with ``float_path``."""
    work_dir.mkdir(exist_ok=True)
    return StepContext(
        work_dir=work_dir,
        progress=lambda message, done, total: None,
        calibration=data,
        ancestors=(Ancestor(path=float_path, form=FLOAT32),),
        **fields,
    )


def quantized(float_path: Path, data: CalibrationData, **settings: Any) -> Path:
    """Write and return the static int8 form beside the float model."""
    path = float_path.with_name(f"{float_path.stem}-int8.onnx")
    context = context_for(float_path.parent / "static", float_path, data)
    StaticInt8(**settings).apply(float_path, path, context)
    return path


def repaired(step: Any, model: Path, context: StepContext) -> tuple[Path, StepReport]:
    """Write and return what a step makes of a model."""
    path = model.with_name(f"{model.stem}-{step.kind}.onnx")
    return path, step.apply(model, path, context)


def outputs(
    path: Path, *, count: int = 64, seed: int = 9, size: int = _SIZE, samples: np.ndarray | None = None
) -> np.ndarray:
    """Return the first output for ``samples``, or for some that no calibration data has."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options)
    if samples is None:
        samples = np.random.default_rng(seed).standard_normal((count, 1, size, size)).astype(np.float32)
    return np.asarray(session.run(None, {session.get_inputs()[0].name: samples})[0])


def sqnr_db(expected: np.ndarray, given: np.ndarray) -> float:
    noise = float(np.square(expected.astype(np.float64) - given).sum())
    return 10 * float(np.log10(np.square(expected.astype(np.float64)).sum() / max(noise, 1e-30)))

"""What cannot be lifted is named in a sentence, with what still works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from steelyard.train.errors import ExtraMissingError, LiftError
from steelyard.train.extras import need
from steelyard.train.lift import lift, lift_checked
from steelyard.train.lift.checking import check_lifted
from tests.controller.train.lift.graphs import drawn, node, write

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


def one_node(path: Path, kind: str, inputs: str = "x", **attributes: Any) -> Path:
    return write(path, [node(kind, inputs, "y", **attributes)], {"x": ["N", 4]}, {"y": ["N", 4]}, {"s": np.float32(1)})


def test_an_unknown_operator_is_named_with_its_node(tmp_path: Path) -> None:
    path = one_node(tmp_path / "m.onnx", "Bernoulli")
    with pytest.raises(LiftError, match=r"does not know the operator Bernoulli '/y/Bernoulli'.*no PyTorch") as caught:
        lift(path)
    assert caught.value.reason == "unknown_op"


def test_control_flow_is_refused_by_name(tmp_path: Path) -> None:
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["z"])],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["N", 4])],
    )
    path = write(
        tmp_path / "m.onnx",
        [node("If", "sure", "y", then_branch=branch, else_branch=branch)],
        {"x": ["N", 4]},
        {"y": ["N", 4]},
        {"sure": np.array(True)},
    )
    with pytest.raises(LiftError, match="control flow \\(If '/y/If'\\)") as caught:
        lift(path)
    assert caught.value.reason == "control_flow"


def test_a_quantized_model_is_sent_back_for_its_float_parent(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "y")],
        {"x": ["N", 4]},
        {"y": ["N", 4]},
        {"s": np.float32(0.1), "z": np.uint8(3)},
    )
    with pytest.raises(LiftError, match=r"quantized already.*float model") as caught:
        lift(path)
    assert caught.value.reason == "already_quantized"


def test_a_model_in_float16_is_sent_back_for_its_float32_parent(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("Cast", "x", "h", to=10), node("MatMul", "h w", "a"), node("Cast", "a", "y", to=1)],
        {"x": ["N", 400]},
        {"y": ["N", 7]},
        {"w": drawn(400, 7).astype(np.float16)},
    )
    with pytest.raises(LiftError, match=r"weights in float16.*float32 model") as caught:
        lift_checked(path)
    assert caught.value.reason == "half_precision"


def test_a_form_that_torch_lacks_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("GRU", "x w r", "y", hidden_size=3)],
        {"x": [5, "N", 4]},
        {"y": [5, 1, "N", 3]},
        {"w": drawn(1, 9, 4), "r": drawn(1, 9, 3)},
    )
    with pytest.raises(LiftError, match=r"GRU '/y/GRU' resets before .*linear_before_reset=0"):
        lift(path, shapes={"x": (5, 2, 4)})


def test_shapes_that_do_not_run_are_told_with_the_node(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("MatMul", "x w", "y")],
        {"x": ["N", "W"]},
        {"y": ["N", 5]},
        {"w": drawn(7, 5)},
    )
    with pytest.raises(LiftError, match=r"MatMul '/y/MatMul' does not run in PyTorch on shapes") as caught:
        lift(path)
    assert caught.value.reason == "op_failed"
    assert lift_checked(path, shapes={"x": (2, 7)}).input_names == ("x",)


def test_a_shape_for_an_input_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LiftError, match=r"no input 'z'.*there are x"):
        lift(one_node(tmp_path / "m.onnx", "Relu"), shapes={"z": (1, 4)})


def test_a_module_that_differs_is_refused_with_the_first_layer(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("Gemm", "x a", "first"), node("Relu", "first", "second"), node("Gemm", "second b", "y")],
        {"x": ["N", 4]},
        {"y": ["N", 4]},
        {"a": drawn(4, 4), "b": drawn(4, 4, seed=1)},
    )
    lifted = lift_checked(path)
    with torch.no_grad():
        next(lifted.module.children()).weight[0, 0] += 0.1
    with pytest.raises(LiftError, match="first in what makes 'first'") as caught:
        check_lifted(path, lifted, tolerance=1e-5)
    assert caught.value.reason == "outputs_differ"


def test_a_package_that_is_not_there_comes_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "coremltools", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'steelyard\[train-coreml\]'"):
        need("coremltools", what="writing Core ML")

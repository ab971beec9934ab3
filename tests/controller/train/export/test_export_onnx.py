"""A module is written as ONNX with its names and open axes, and the file computes what the module does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from steelyard.train.errors import ExportError
from steelyard.train.export.example import Interface, interface_of
from steelyard.train.export.onnx_program import check_file, export_lifted, export_onnx
from steelyard.train.lift import lift_checked
from steelyard.train.lift.lifted import TensorForm
from tests.controller.train.lift.graphs import drawn, node, write

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


def axes(path: Path) -> list[list[Any]]:
    graph = onnx.load_model(path).graph
    return [
        [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]


@pytest.mark.parametrize("batch", ["N", 1])
def test_a_lifted_model_comes_back_folded_with_an_open_batch(tmp_path: Path, batch: object) -> None:
    stored = {"w": drawn(4, 3, 3, 3), "s": drawn(4), "b": drawn(4, seed=1), "m": drawn(4, seed=2)}
    stored |= {"v": abs(drawn(4, seed=3)) + 0.5, "g": drawn(4, 2)}
    path = write(
        tmp_path / "m.onnx",
        [
            node("Conv", "image w", "c", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "c s b m v", "n"),
            node("Relu", "n", "r"),
            node("GlobalAveragePool", "r", "p"),
            node("Flatten", "p", "f"),
            node("Gemm", "f g", "logits"),
        ],
        {"image": [batch, 3, 6, 6]},
        {"logits": [batch, 2]},
        stored,
    )
    made = export_lifted(lift_checked(path), tmp_path / "back.onnx")
    assert made.difference < 1e-5
    name = "N" if batch == "N" else "batch"
    assert axes(made.path) == [[name, 3, 6, 6], [name, 2]]
    model = onnx.load_model(made.path)
    assert [one.op_type for one in model.graph.node].count("BatchNormalization") == 0
    assert [one.name for one in (*model.graph.input, *model.graph.output)] == ["image", "logits"]
    assert not any(one.metadata_props or one.doc_string for one in model.graph.node)


def test_a_file_that_gives_other_numbers_is_refused(tmp_path: Path) -> None:
    form = TensorForm(name="x", dtype="float32", shape=(None, 4), sample_shape=(3, 4))
    interface = Interface(inputs=(form,), output_names=("y",))
    module = torch.nn.Linear(4, 2).eval()
    made = export_onnx(module, interface, tmp_path / "m.onnx", folded=False)
    with torch.no_grad():
        module.bias += 1.0
    with pytest.raises(ExportError, match="other outputs than the module") as caught:
        check_file(made.path, module, interface)
    assert caught.value.reason == "outputs_differ"


def test_a_module_of_one_batch_is_told_so(tmp_path: Path) -> None:
    class OneBatch(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x.reshape(3, 4) + 1.0

    form = TensorForm(name="x", dtype="float32", shape=(None, 4), sample_shape=(3, 4))
    with pytest.raises(ExportError, match="one size only") as caught:
        export_onnx(OneBatch(), Interface(inputs=(form,), output_names=("y",)), tmp_path / "m.onnx")
    assert caught.value.reason == "axis_fixed"


def test_open_axes_keep_their_names_and_marks_without_one_get_none(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("Relu", "x", "y")],
        {"x": ["N", "tokens", 4]},
        {"y": ["N", "tokens", 4]},
    )
    interface = interface_of(lift_checked(path))
    assert interface.open_axes() == ({0: "N", 1: "tokens"},)
    unnamed = TensorForm(name="x", dtype="float32", shape=(None, "?", 4), sample_shape=(3, 5, 4))
    assert Interface(inputs=(unnamed,), output_names=("y",)).open_axes() == ({0: "batch", 1: ""},)


@pytest.mark.parametrize(
    ("given", "made", "weight"),
    [("x", "linear", "w"), ("relu", "y", "w"), ("linear", "linear_1", "w"), ("x", "y", "linear"), ("x", "y", "relu")],
)
def test_names_that_the_exporter_has_for_its_own_values_are_kept(
    tmp_path: Path, given: str, made: str, weight: str
) -> None:
    """Outputs of files that it wrote are called so, and those of a model that lost layers are not where they were."""
    stored = {weight: drawn(1, 4), "w1": drawn(4, 4), "w2": drawn(4, 4, seed=1), "b": drawn(4)}
    nodes = [
        node("Gemm", f"{given} w1 b", "h0"),
        node("Mul", f"h0 {weight}", "h"),
        node("Relu", "h", "a"),
        node("Gemm", "a w2 b", made),
    ]
    nodes[0].name, nodes[3].name = "first", "second"
    path = write(tmp_path / "m.onnx", nodes, {given: ["N", 4]}, {made: ["N", 4]}, stored)
    back = export_lifted(lift_checked(path), tmp_path / "back.onnx")
    graph = onnx.load_model(back.path).graph
    assert [one.name for one in (*graph.input, *graph.output)] == [given, made]
    assert back.difference < 1e-5

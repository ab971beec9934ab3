"""Networks with sums, groups, pools and attention, written as QDQ: onnxruntime runs every layer in integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.folding import fold
from steelyard.train.export.example import Interface
from steelyard.train.export.onnx_program import export_onnx
from steelyard.train.lift.lifted import TensorForm
from steelyard.train.qat.integer_layers import tidy
from tests.controller.train.small_networks import residual, transformer

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")
nn = torch.nn
_FLOAT_LAYERS = {"Conv", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}


def as_run(made: Path, folder: Path, *, has_pools: bool = False) -> Counter[str]:
    """Write a model with roundings whose ranges are of drawn inputs; count the operators that are run."""
    from steelyard.train.export.example import example_feed, interface_of
    from steelyard.train.export.program import trace
    from steelyard.train.export.quiet import quiet_exporters
    from steelyard.train.lift import lift
    from steelyard.train.qat.grids import Grids
    from steelyard.train.qat.placement import layers_of_graph
    from steelyard.train.qat.quantized_module import QuantizedModule
    from steelyard.train.qat.torchao_import import need_torchao
    from steelyard.train.qat.writing import write_qdq

    need_torchao()
    fold(made, folder / "folded.onnx")
    lifted = lift(folder / "folded.onnx")
    interface = interface_of(lifted)
    with quiet_exporters():
        graph = trace(lifted.module.eval(), interface).module(check_guards=False)
    bits = dict.fromkeys(layers_of_graph(graph.graph), 8)
    module = QuantizedModule.of(graph, Grids.of(signed=False, weight_bits=(8,)), bits=bits, kept=(), wide=())
    feed = {name: torch.from_numpy(values) for name, values in example_feed(interface, batch=16).items()}
    module.calibrate([feed], lifted.input_names)
    write_qdq(module, interface, folder / "written.onnx", has_pools=has_pools)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "run.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(folder / "written.onnx"), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load_model(folder / "run.onnx").graph.node)


@pytest.mark.parametrize(
    ("network", "wanted"),
    [
        (residual, {"QLinearConv": 6, "QLinearAdd": 1, "QLinearAveragePool": 1, "QGemm": 1}),
        (lambda path: transformer(path, depth=1), {"MatMulIntegerToFloat": 6, "QLinearMatMul": 2, "QGemm": 1}),
    ],
    ids=["residual", "transformer"],
)
def test_no_layer_is_left_in_float(tmp_path: Path, network: Callable[[Path], Path], wanted: dict[str, int]) -> None:
    counts = as_run(network(tmp_path / "network.onnx"), tmp_path)
    assert not _FLOAT_LAYERS & set(counts)
    assert {name: counts[name] for name in wanted} == wanted


def pooled(path: Path, *, constant: float = 0.0) -> Path:
    """Write image [N, 1, 8, 8] -> logits [N, 3] with a mean over the whole picture; a filter may give a constant."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)]
    if constant:
        with torch.no_grad():
            layers[0].weight[2], layers[0].bias[2] = 0.0, constant
    image = TensorForm(name="image", dtype="float32", shape=("N", 1, 8, 8), sample_shape=(2, 1, 8, 8))
    network = nn.Sequential(*layers).eval()
    export_onnx(network, Interface(inputs=(image,), output_names=("logits",)), path, folded=False)
    return path


def test_a_global_pool_is_written_as_one_and_runs_in_integers(tmp_path: Path) -> None:
    written = pooled(tmp_path / "pooled.onnx")
    plain, named = (as_run(written, tmp_path, has_pools=has_pools) for has_pools in (False, True))
    assert (plain["QLinearGlobalAveragePool"], named["QLinearGlobalAveragePool"]) == (0, 1)
    assert plain["ReduceMean"] == 1
    assert named["ReduceMean"] == 0


def test_the_bias_of_a_filter_without_weights_is_kept(tmp_path: Path) -> None:
    written = pooled(tmp_path / "pooled.onnx", constant=20.0)
    as_run(written, tmp_path, has_pools=True)
    pictures = {"image": np.random.default_rng(0).standard_normal((4, 1, 8, 8)).astype(np.float32)}
    given, wanted = (
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, pictures)[0]
        for path in (tmp_path / "written.onnx", written)
    )
    assert np.abs(given - wanted).max() < 0.02 * np.abs(wanted).max()


def test_layers_that_share_weights_have_their_scale_fitted_once() -> None:
    steps = numpy_helper.from_array(np.full((1, 1, 1, 1), 100, np.int8), "steps")
    tensors = {
        "x_scale": np.float32(1e-3),
        "x_zero": np.int8(0),
        "scale": np.array([1e-8], np.float32),
        "zero": np.array([0], np.int8),
        "bias_0": np.array([0.04], np.float32),
        "bias_1": np.array([0.04], np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_steps"]),
        helper.make_node("DequantizeLinear", ["x_steps", "x_scale", "x_zero"], ["x_read"]),
        helper.make_node("DequantizeLinear", ["steps", "scale", "zero"], ["weight"], axis=0),
        *(helper.make_node("Conv", ["x_read", "weight", f"bias_{at}"], [f"y_{at}"]) for at in range(2)),
    ]
    form = [1, 1, 2, 2]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, form) for name in ("x", "y_0", "y_1")]
    stored = [steps, *(numpy_helper.from_array(np.asarray(one), name) for name, one in tensors.items())]
    model = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:], stored))
    tidy(model, has_pools=False)
    (fitted,) = (numpy_helper.to_array(one) for one in model.graph.initializer if one.name == "scale")
    # The scale at which the bias is half of what 32 bits hold.
    assert fitted[0] == pytest.approx(0.04 / 1e-3 / 2**30, rel=0.01)

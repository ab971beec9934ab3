"""Networks with sums, groups, pools and attention, written as QDQ: onnxruntime runs every layer in integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import pytest

from steelyard.compress.folding import fold
from tests.controller.train.small_networks import residual, transformer

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")
_FLOAT_LAYERS = {"Conv", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}


def as_run(made: Path, folder: Path) -> Counter[str]:
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
    write_qdq(module, interface, folder / "written.onnx")
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

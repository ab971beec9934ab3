"""Write a module that rounds as a QDQ file, and hold the file against it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.train.errors import ExportError
from steelyard.train.export.example import Interface, example_feed
from steelyard.train.export.onnx_program import convert
from steelyard.train.export.program import trace
from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.parity import file_outputs, module_outputs
from steelyard.train.qat.integer_layers import tidy

# DequantizeLinear takes 16 bits from opset 21 on.
OPSET = 21
# Root mean square of the difference as a share of that of the outputs: a value between two steps falls to either side
# in another order of sums, and moves what follows by a step.
TOLERANCE = 0.1
_BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenQdq:
    """A written file and how far its outputs are from the module's, as ``TOLERANCE`` counts."""

    path: Path
    difference: float


def write_qdq(module: Any, interface: Interface, path: Path, *, has_pools: bool = False) -> WrittenQdq:
    """Write a ``QuantizedModule`` with integer weights; the module stays as it is.

    ``has_pools``: means over pictures were global pools in the file that the module was read from.

    Raises:
        ExportError: it cannot be written, or the file gives other numbers.
    """
    import onnx
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    module.eval()
    with quiet_exporters():
        integers = convert_pt2e(copy.deepcopy(module.graph))
    convert(trace(integers, interface), interface, path, opset=OPSET)
    model = onnx.load_model(path)
    tidy(model, has_pools=has_pools)
    onnx.save_model(model, path)
    difference = _difference(path, module, interface)
    if difference > TOLERANCE:
        raise ExportError(
            "outputs_differ",
            f"the quantized file gives other outputs than the trained module, by {difference:.1%} of them where "
            f"{TOLERANCE:.0%} is allowed; where the processor sums u8 times s8 in 16 bits, write reduce_range = true",
        )
    return WrittenQdq(path=path, difference=difference)


def _difference(path: Path, module: Any, interface: Interface) -> float:
    feed = example_feed(interface, batch=_BATCH)
    expected = module_outputs(module, feed, inputs=interface.input_names, outputs=interface.output_names)
    given = file_outputs(path, feed)
    return max(_apart(given[name], expected[name]) for name in interface.output_names)


def _apart(given: Any, expected: Any) -> float:
    if given.shape != expected.shape:
        return float("inf")
    size = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    apart = float(np.sqrt(np.mean(np.square(given.astype(np.float64) - expected))))
    return apart / size if size else apart

"""A QDQ model as something whose operators can be put back to float one by one."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from steelyard.compress.contract import StepContext
from steelyard.compress.noise import Runs
from steelyard.compress.qdq.graph import QdqGraph, Unit
from steelyard.compress.qdq.pairing import folded_path, pair_of
from steelyard.compress.qdq.restore import restore
from steelyard.compress.qdq.running import Runner
from steelyard.compress.sensitivity import Operator


class QdqParts:
    """The ``PartlyQuantized`` of ONNX models; ``float_path`` is a file of the graph's float model."""

    def __init__(self, graph: QdqGraph, float_path: Path) -> None:
        self.graph = graph
        self.float_path = float_path
        self.operators = tuple(self._operator(unit) for unit in graph.units)

    def float_runner(self) -> Runs:
        """Return the float model, ready to run."""
        return Runner(self.graph.float_model, as_deployed=True)

    def runner(self, in_float: Collection[str]) -> Runs:
        """Return the quantized model with the named operators in float, ready to run."""
        return Runner(restore(self.graph, in_float), as_deployed=True)

    def write(self, in_float: Collection[str], path: Path) -> None:
        """Write the quantized model with the named operators in float."""
        import onnx

        onnx.save_model(restore(self.graph, in_float), path)

    def _operator(self, unit: Unit) -> Operator:
        weight = unit.weight
        return Operator(
            name=unit.name,
            kind=unit.op_type,
            output=unit.float_node.output[0],
            parameter_count=0 if weight is None else int(self.graph.values(weight.name).size),
        )


def parts_of(model_path: Path, context: StepContext, *, kind: str) -> QdqParts:
    """Return the model of a step beside the folded float ancestor of its recipe; ``kind`` names who asks.

    Raises:
        CompressionInputError, CompressionError: as ``pair_of``.
    """
    return QdqParts(pair_of(model_path, context, kind=kind), folded_path(context.work_dir, kind))

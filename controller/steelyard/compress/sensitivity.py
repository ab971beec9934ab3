"""What quantizing each operator alone costs: all others in float, outputs against the float model's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.contract import Progress, StepContext
from steelyard.compress.qdq.graph import QdqGraph
from steelyard.compress.qdq.pairing import read_pair
from steelyard.compress.qdq.restore import restore
from steelyard.compress.qdq.running import Runner, required_calibration, sqnr_db


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """One quantized operator: its name in the float model, operator, weights, and what quantizing it alone leaves.

    ``sqnr_db`` is the signal-to-quantization-noise ratio of the model's outputs: the lower, the more sensitive.
    """

    name: str
    op_type: str
    parameter_count: int
    sqnr_db: float


def measure_sensitivity(
    graph: QdqGraph, data: CalibrationData, *, sample_count: int, progress: Progress
) -> tuple[Sensitivity, ...]:
    """Return every quantized operator, the most sensitive first; no labels are needed.

    Runs the model once an operator over ``sample_count`` samples, one batch in memory.

    Raises:
        CompressionInputError: fewer samples than the model's batch.
        CompressionError: a model cannot be run.
    """
    reference = Runner(graph.float_model)
    names = {unit.name for unit in graph.units}
    found = []
    for number, unit in enumerate(graph.units):
        progress(f"how sensitive {unit.name} is", number, len(graph.units))
        alone = Runner(restore(graph, names - {unit.name}))
        found.append(
            Sensitivity(
                name=unit.name,
                op_type=unit.op_type,
                parameter_count=0 if unit.weight is None else int(graph.values(unit.weight.name).size),
                sqnr_db=sqnr_db(reference, alone, data, sample_count),
            )
        )
    progress("how sensitive operators are", len(graph.units), len(graph.units))
    # Python's sort is stable: of equals the earlier in the graph comes first.
    return tuple(sorted(found, key=lambda one: one.sqnr_db))


def sensitivity_of(
    quantized_path: Path, float_path: Path, context: StepContext, *, sample_count: int = 64
) -> tuple[Sensitivity, ...]:
    """Return the sensitivities of a QDQ model that was made from a float model, as ``measure_sensitivity`` does.

    Raises:
        CompressionInputError: no calibration data, or models that do not belong together.
        CompressionError: a model cannot be folded or run.
    """
    data = required_calibration("sensitivity", context)
    graph = read_pair(quantized_path, float_path, context.work_dir, kind="sensitivity")
    return measure_sensitivity(graph, data, sample_count=sample_count, progress=context.progress)

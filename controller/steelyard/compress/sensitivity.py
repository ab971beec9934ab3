"""What quantizing each operator alone costs: all others in float, outputs against the float model's.

Works on either format through ``PartlyQuantized``: a quantized model whose operators can be put back to float.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.contract import Progress
from steelyard.compress.noise import Reference, Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator that was quantized: its name as ``keep_float`` knows it, its kind, its first output, its weights."""

    name: str
    kind: str
    output: str
    parameter_count: int


class PartlyQuantized(Protocol):
    """A quantized model beside the float one that it came from, whose operators can be put back to float."""

    @property
    def operators(self) -> Sequence[Operator]:
        """The quantized operators in the order of the graph."""
        ...

    @property
    def float_path(self) -> Path:
        """The file of the float model."""
        ...

    def float_runner(self) -> Runs:
        """Return the float model, ready to run."""
        ...

    def runner(self, in_float: Collection[str]) -> Runs:
        """Return the quantized model with the named operators in float, ready to run."""
        ...

    def write(self, in_float: Collection[str], path: Path) -> None:
        """Write the quantized model with the named operators in float."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """One operator and what quantizing it alone leaves of the model's outputs.

    ``sqnr_db`` is their signal-to-quantization-noise ratio against the float model's: the lower, the more sensitive.
    """

    operator: Operator
    sqnr_db: float

    @property
    def noise(self) -> float:
        """The error of the outputs as a share of them."""
        return float(10.0 ** (-self.sqnr_db / 10.0))


def rank(
    parts: PartlyQuantized, data: CalibrationData, *, sample_count: int, progress: Progress
) -> tuple[Sensitivity, ...]:
    """Return every quantized operator, the most sensitive first; no labels are needed.

    Runs the model once an operator over ``sample_count`` samples, one batch of activations in memory.

    Raises:
        CompressionInputError: fewer samples than the model's batch.
        CompressionError: a model cannot be run.
    """
    reference = Reference(parts.float_runner(), data, sample_count)
    names = {one.name for one in parts.operators}
    found = []
    for number, one in enumerate(parts.operators):
        progress(f"how sensitive {one.name} is", number, len(parts.operators))
        alone = parts.runner(names - {one.name})
        found.append(Sensitivity(operator=one, sqnr_db=reference.sqnr_db(alone)))
    progress("how sensitive operators are", len(parts.operators), len(parts.operators))
    # Python's sort is stable: of equals the earlier in the graph comes first.
    return tuple(sorted(found, key=lambda one: one.sqnr_db))


def worst(ranked: Sequence[Sensitivity]) -> tuple[Sensitivity, ...]:
    """Return the fewest of a ranking that hold half of the summed noise, a fifth of the operators at most.

    The errors of operators add up as long as they are small and of different causes; what keeping these in float really
    brings is measured, never inferred.
    """
    most = max(1, len(ranked) // 5)
    half = sum(one.noise for one in ranked) / 2
    chosen: list[Sensitivity] = []
    for one in ranked[:most]:
        if sum(before.noise for before in chosen) >= half:
            break
        chosen.append(one)
    return tuple(chosen)

"""The contract of a compression step.

A step is a frozen dataclass: its fields are its settings, with defaults, and the keys of its table in a recipe. It
checks them in ``__post_init__`` (``RecipeError``), imports its libraries inside ``apply``, and never writes to its
input. Steps are found by kind in ``steelyard.compress.registry``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from steelyard.compress.calibration import CalibrationData

# What is being done, work done and work in all.
Progress = Callable[[str, int, int], None]

# The numeric forms of a model that steps accept and produce.
FLOAT32 = "float32"
FLOAT16 = "float16"
INT8 = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step is given beside its settings.

    ``processor_features`` are those of the device that the variant is for ("avx2", "avx512_vnni"), empty when unknown.
    ``work_dir`` is a folder for intermediate files, removed afterwards.
    """

    work_dir: Path
    progress: Progress
    seed: int = 0
    processor_features: frozenset[str] = frozenset()
    calibration: CalibrationData | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What a step did: its settings with "auto" resolved, the tools that it used ("onnxruntime 1.32.0"), and notes."""

    settings: Mapping[str, object]
    tool_versions: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Step(Protocol):
    """One way to make a model smaller or faster, with its settings."""

    kind: ClassVar[str]
    needs_calibration: ClassVar[bool]
    # Numeric forms that it can start from, and the one that it leaves.
    accepts: ClassVar[frozenset[str]]
    produces: ClassVar[str]
    # The settings: dataclass fields.
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the compressed model to ``out_path``; the same inputs give the same bytes.

        Raises:
            CompressionInputError: the model or the calibration data do not suit this step.
            CompressionError: the tool failed.
        """
        ...

"""The contract of a compression step.

A step is a frozen dataclass: its fields are its settings, with defaults, and the keys of its table in a recipe. It
checks them in ``__post_init__`` (``RecipeError``), imports its libraries inside ``apply``, and never writes to its
input. Steps are found by kind in ``steelyard.compress.registry``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from steelyard.compress.errors import CompressionInputError

if TYPE_CHECKING:
    from steelyard.compress.calibration import CalibrationData
    from steelyard.compress.evaluation import EvaluationSet
    from steelyard.compress.latency import LatencyOracle

# What is being done, work done and work in all.
Progress = Callable[[str, int, int], None]

# The numeric forms of a model that steps accept and produce. WEIGHT_ONLY: weights in few bits, activations in float.
# SPARSE: float32 of which only what is not zero is stored, which no step reads.
FLOAT32 = "float32"
FLOAT16 = "float16"
INT8 = "int8"
WEIGHT_ONLY = "weight-only"
SPARSE = "sparse"

# The file formats that a step may work on.
ONNX = "onnx"
TFLITE = "tflite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model scored on this machine; ``low`` and ``high`` are the ends of a 95 % interval, None without one.

    ``metric`` is the kind ("top1"), ``unit`` "fraction" or that of the values; ``split`` is "validation", "evaluation"
    or "calibration" (agreement with the parent, without labels).
    """

    metric: str
    unit: str
    higher_is_better: bool
    value: float
    sample_count: int
    split: str
    low: float | None = None
    high: float | None = None

    def worse_by(self, other: Evaluation) -> float:
        """Return by how much this is worse than ``other``, in the unit; below 0 when it is better."""
        return other.value - self.value if self.higher_is_better else self.value - other.value


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What a step did: its settings with "auto" resolved, the tools that it used ("onnxruntime 1.32.0"), and notes."""

    settings: Mapping[str, object]
    tool_versions: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """A model that the recipe went through: the parent (no step), or what a step made of the one before."""

    path: Path
    form: str
    step: Step | None = None
    report: StepReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step is given beside its settings.

    ``processor_features`` are those of the device that the variant is for ("avx2", "avx512_vnni"), empty when unknown.
    ``work_dir`` is a folder for intermediate files, removed afterwards. ``ancestors`` begins with the parent and ends
    with the model that the step starts from. ``evaluate`` runs a model file over the samples that choices are made by;
    None when there is no task. The rest is for steps that learn (``steelyard.compress.learning``): ``training`` and
    ``validation`` are those splits of the task, ``artifacts`` the files of other models by name, and ``checkpoints`` a
    folder of this step alone that outlives an interruption (it may not be there yet). ``latency`` measures models on a
    device; None where none was named.
    """

    work_dir: Path
    progress: Progress
    seed: int = 0
    processor_features: frozenset[str] = frozenset()
    calibration: CalibrationData | None = None
    model_format: str = ONNX
    ancestors: tuple[Ancestor, ...] = ()
    evaluate: Callable[[Path], Evaluation] | None = None
    training: EvaluationSet | None = None
    validation: EvaluationSet | None = None
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    checkpoints: Path | None = None
    latency: LatencyOracle | None = None

    def float_ancestor(self, kind: str) -> Ancestor:
        """Return the last float32 model of this recipe, which repairs compare with; ``kind`` names who asks.

        Raises:
            CompressionInputError: no_float_ancestor.
        """
        for ancestor in reversed(self.ancestors):
            if ancestor.form == FLOAT32:
                return ancestor
        raise CompressionInputError(
            "no_float_ancestor",
            f"{kind} compares with the float32 model, and this recipe did not start from one; begin with the original "
            "and put static-int8 before it",
        )


class Step(Protocol):
    """One way to make a model smaller or faster, with its settings."""

    kind: ClassVar[str]
    # Numeric forms that it can start from, and the one that it leaves (SAME_FORM: the one it started from).
    accepts: ClassVar[frozenset[str]]
    produces: ClassVar[str]
    # File formats that it works on.
    formats: ClassVar[frozenset[str]]
    # Whether it compares with an earlier float32 model of the same recipe.
    needs_float_ancestor: ClassVar[bool]
    # The settings: dataclass fields.
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def needs_calibration(self) -> bool:
        """Whether it reads calibration data: a class variable, or a property where that hangs on the settings."""
        ...

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the compressed model to ``out_path``; the same inputs give the same bytes.

        Raises:
            CompressionInputError: the model or the calibration data do not suit this step.
            CompressionError: the tool failed.
        """
        ...


# ``produces`` of a step that changes weights and leaves their form.
SAME_FORM = "same"

"""Plugins for the tests: files that a person would name, and distributions that lie on the path."""

from __future__ import annotations

from pathlib import Path

HEAD = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from steelyard.compress.contract import FLOAT32, ONNX, SAME_FORM, StepReport
from steelyard.tasks.metrics.contract import LABELS, Reduction
__version__ = "1.2"
"""

COPY_STEP = """
@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    'Copies the model.'
    kind: ClassVar[str] = "copy-model"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})
    needs_float_ancestor: ClassVar[bool] = False
    times: int = 1

    def apply(self, model_path, out_path, context):
        out_path.write_bytes(model_path.read_bytes())
        return StepReport(settings={"times": self.times}, tool_versions=("copier 1",))
"""

FLIP_REDUCER = """
@dataclass(frozen=True, slots=True, kw_only=True)
class Lowest:
    'The lowest score wins.'
    kind: ClassVar[str] = "lowest"
    output: str = "distances"

    def reduce(self, outputs):
        return {"argmax": np.argmin(outputs[self.output], axis=-1).astype(np.int64)}
"""

SHIFT_OPERATION = """
@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    kind: ClassVar[str] = "shift"
    by: float = 1.0

    def apply(self, samples):
        return samples + np.asarray(self.by, dtype=samples.dtype)
"""

SHARE_METRIC = """
class Right:
    def __init__(self, correct):
        self.correct, self.sample_count = correct, len(correct)

    def value(self, counts=None):
        weights = np.ones(len(self.correct)) if counts is None else counts
        return float(weights @ self.correct / weights.sum()) if weights.sum() else None

@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    kind: ClassVar[str] = "right-share"
    label: ClassVar[str] = "share of right answers"
    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = (LABELS,)
    needs_parent_outputs: ClassVar[bool] = False

    @property
    def reduction(self):
        return Reduction(reducer="argmax")

    def answers(self, truth, outputs):
        return Right(truth[LABELS] == outputs["argmax"])
"""

EXPORTER_AND_FORMAT = """
@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    kind: ClassVar[str] = "c-header"

    def files(self, model_path, signature):
        return {"model.h": f"enum {{ SIZE = {model_path.stat().st_size} }};".encode()}

@dataclass(frozen=True, slots=True, kw_only=True)
class Reversed:
    kind: ClassVar[str] = "backwards"
    suffixes: ClassVar[frozenset[str]] = frozenset({".xnno"})
    produces: ClassVar[str] = "onnx"

    def convert(self, path, out_path):
        out_path.write_bytes(path.read_bytes()[::-1])
"""


def write_plugin(path: Path, *parts: str, listed: str) -> Path:
    """Write a plugin file of these parts."""
    path.write_text(HEAD + "".join(parts) + f"\nSTEELYARD_PLUGIN = {listed}\n", encoding="utf-8")
    return path


def install(folder: Path, module: str, content: str, points: dict[str, str], version: str = "1.0") -> None:
    """Lay a distribution with entry points, "ROLE/KIND" to object, into a folder of the path."""
    folder.mkdir(exist_ok=True)
    name = module.replace("_", "-")
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        f"[steelyard.{role}]\n{kind} = {module}:{found}\n"
        for (role, kind), found in ((tuple(key.split("/")), found) for key, found in points.items())
    ]
    (info / "entry_points.txt").write_text("".join(lines))
    (folder / f"{module}.py").write_text(content, encoding="utf-8")

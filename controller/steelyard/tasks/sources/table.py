"""Numeric columns of a CSV or JSONL file: features, and a class or targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS, TARGETS
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.rows import read_rows
from steelyard.tasks.sources.splitting import drawn_data, label_numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """``features`` are columns, which become float32 [N, features]; the truth is ``label`` (a class) or ``targets``."""

    kind: ClassVar[str] = "table"

    file: str
    features: tuple[str, ...]
    label: str = ""
    targets: tuple[str, ...] = ()
    seed: int = 0
    evaluation_count: int = 0
    calibration_count: int = 0
    validation_count: int = 0
    training_count: int = 0

    def __post_init__(self) -> None:
        """Refuse no features, and two kinds of truth."""
        if not isinstance(self.features, tuple) or not self.features:
            raise TaskError("invalid_setting", f"table: features is {self.features!r}; write a list of columns")
        if self.label and self.targets:
            raise TaskError("invalid_setting", "table: label and targets exclude each other; keep one")

    def read(self, folder: Path) -> SourceData:
        """Return the samples; see ``Source.read``."""
        path = folder / self.file
        rows = read_rows(path, (*self.features, *self.targets, *((self.label,) if self.label else ())))
        truth: dict[str, NDArray[Any]] = {}
        class_names: tuple[str, ...] = ()
        if self.label:
            truth[LABELS], class_names = label_numbers([row[self.label] for row in rows])
        if self.targets:
            truth[TARGETS] = _numbers(rows, self.targets, path).astype(np.float64)
        return drawn_data(
            _numbers(rows, self.features, path).astype(np.float32),
            truth,
            Draw.of(self),
            source=path,
            told={"kind": self.kind, "file": self.file, "features": list(self.features)},
            class_names=class_names,
        )


def _numbers(rows: list[dict[str, Any]], columns: tuple[str, ...], path: Path) -> NDArray[np.float64]:
    numbers = np.empty((len(rows), len(columns)))
    for index, row in enumerate(rows):
        for place, column in enumerate(columns):
            numbers[index, place] = to_number(row[column], f"{path}, sample {index + 1}: {column}")
    return numbers


def to_number(value: object, what: str) -> float:
    """Return a value of a row as a number; ``what`` names it.

    Raises:
        TaskError: invalid_row.
    """
    try:
        return float(str(value))
    except ValueError as error:
        raise TaskError("invalid_row", f"{what} is {value!r}; write a number") from error

"""Files with a class each: a folder a class, or a CSV with a file and a label a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.rows import read_rows
from steelyard.tasks.sources.splitting import label_numbers
from steelyard.tasks.task import ONLY_INPUT, Split

Read = Callable[[Sequence[Path]], NDArray[Any]]
Find = Callable[[Path], list[Path]]


def listed_files(table: Path) -> list[tuple[Path, str]]:
    """Return files, found beside the table, with their labels: the columns ``file`` and ``label`` of a CSV.

    Raises:
        TaskError: the table cannot be read.
    """
    return [(table.parent / str(row["file"]), str(row["label"])) for row in read_rows(table, ("file", "label"))]


def files_by_folder(folder: Path, find: Find) -> list[tuple[Path, str]]:
    """Return the files below a folder, each with the name of the folder that it is in.

    Raises:
        TaskError: files that are in no folder of their class.
    """
    found = find(folder)
    loose = [path for path in found if path.parent == folder]
    if loose:
        raise TaskError(
            "no_label", f"{loose[0]} is in no folder of its class; put it below {folder}/CLASS, or give a list"
        )
    return [(path, path.relative_to(folder).parts[0]) for path in found]


def split_files(
    groups: Mapping[str, list[tuple[Path, str]]], draw: Draw, read: Read, *, source: object, told: Mapping[str, object]
) -> SourceData:
    """Return the splits of labelled files: one group a split, or one group "" that ``draw`` takes them out of.

    Only the files that are drawn are read. Labels that are numbers are class numbers, others are counted in the order
    of their names.

    Raises:
        TaskError: too_few_samples, or what ``read`` refuses.
    """
    labels, class_names = label_numbers([label for group in groups.values() for _, label in group])
    numbered = iter(labels)
    taken: dict[str, list[tuple[Path, int]]] = {
        name: [(path, int(next(numbered))) for path, _ in group] for name, group in groups.items()
    }
    if "" in taken:
        everything = taken[""]
        taken = {
            name: [everything[index] for index in indexes]
            for name, indexes in draw.indexes(len(everything), source).items()
        }
    splits = {
        name: Split(
            inputs={ONLY_INPUT: read([path for path, _ in files])},
            truth={} if name == "calibration" else {LABELS: np.array([label for _, label in files], dtype=np.int64)},
        )
        for name, files in taken.items()
        if files
    }
    if "evaluation" not in splits:
        raise TaskError("empty_data", f"{source} has no evaluation samples; add some")
    return SourceData(
        evaluation=splits["evaluation"],
        calibration=splits.get("calibration"),
        validation=splits.get("validation"),
        training=splits.get("training"),
        class_names=class_names,
        drawn={**told, **draw.told()},
    )

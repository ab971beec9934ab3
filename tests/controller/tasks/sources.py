"""Sources read as a task file names them, and small folders of pictures to read."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.registry import source_of


def read(below: Path, /, **table: object) -> SourceData:
    return source_of(table, where="task.toml [source]").read(below)


def refusal(below: Path, /, **table: object) -> TaskError:
    with pytest.raises(TaskError) as caught:
        read(below, **table)
    return caught.value


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (12, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size, colour).save(path)
    return path


def zoo(folder: Path, per_class: int = 4) -> Path:
    for number, name in enumerate(("cat", "dog", "owl")):
        for index in range(per_class):
            picture(folder / name / f"{index}.png", (10 * index, 80 * number, 5))
    return folder

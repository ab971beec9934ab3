"""Pictures: a folder a class, split by folders (train/, val/, test/) or drawn, or a list of files with labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.geometry import Geometry
from steelyard.tasks.sources.labelled_files import files_by_folder, listed_files, split_files
from steelyard.tasks.sources.pictures import pictures_below, read_pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """``folder`` with a folder a class; or ``list``, a CSV with ``file`` and ``label``.

    ``evaluation``, ``calibration``, ``validation`` and ``training`` name folders below ``folder``, one a split; without
    them samples are drawn by ``seed`` and the counts. Pictures become uint8 [height, width, channels]: [preprocess]
    does the rest.
    """

    kind: ClassVar[str] = "images"

    folder: str = "."
    list: str = ""
    evaluation: str = ""
    calibration: str = ""
    validation: str = ""
    training: str = ""
    seed: int = 0
    evaluation_count: int = 0
    calibration_count: int = 0
    validation_count: int = 0
    training_count: int = 0
    geometry: Geometry = field(default_factory=Geometry)

    def read(self, folder: Path) -> SourceData:
        """Return the pictures; see ``Source.read``."""
        below = folder / self.folder
        if self.list:
            groups = {"": listed_files(folder / self.list)}
        elif self.evaluation:
            named = {name: getattr(self, name) for name in ("evaluation", "calibration", "validation", "training")}
            groups = {name: files_by_folder(below / part, pictures_below) for name, part in named.items() if part}
        else:
            groups = {"": files_by_folder(below, pictures_below)}
        draw = Draw.of(self)
        return split_files(
            _limited(groups, draw),
            draw,
            lambda paths: read_pictures(paths, self.geometry)[0],
            source=below,
            told={"kind": self.kind, "folder": self.folder, "list": self.list},
        )


def _limited(groups: dict[str, list[tuple[Path, str]]], draw: Draw) -> dict[str, list[tuple[Path, str]]]:
    """Draw as many of each named split as are asked for; a count of 0 takes all."""
    limited = {}
    for name, files in groups.items():
        count = getattr(draw, name) if name else 0
        taken = partial(Draw(seed=draw.seed, evaluation=count).indexes, len(files), name)
        limited[name] = [files[index] for index in taken()["evaluation"]] if 0 < count < len(files) else files
    return limited

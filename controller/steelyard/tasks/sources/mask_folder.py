"""Segmentation: pictures, and a mask of class numbers (PNG) of the same name each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import MASKS
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.geometry import Geometry
from steelyard.tasks.sources.pictures import pictures_below, read_mask, read_pictures
from steelyard.tasks.task import ONLY_INPUT, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFolder:
    """``images`` and ``masks`` are folders; a picture's mask has its name and ends in .png.

    Masks go through the same geometry as their pictures, with nearest neighbours; what is filled in around is 255,
    which the metric leaves out.
    """

    kind: ClassVar[str] = "masks"

    images: str
    masks: str
    seed: int = 0
    evaluation_count: int = 0
    calibration_count: int = 0
    validation_count: int = 0
    training_count: int = 0
    geometry: Geometry = field(default_factory=Geometry)

    def read(self, folder: Path) -> SourceData:
        """Return the pictures with their masks; see ``Source.read``."""
        below = folder / self.images
        pictures = pictures_below(below)
        masks = [folder / self.masks / path.relative_to(below).with_suffix(".png") for path in pictures]
        lost = [mask for mask in masks if not mask.is_file()]
        if lost:
            raise TaskError("data_not_found", f"there is no mask {lost[0]}; add it, or remove its picture")
        draw = Draw.of(self)
        splits = {}
        for name, indexes in draw.indexes(len(pictures), below).items():
            pixels, _ = read_pictures([pictures[index] for index in indexes], self.geometry)
            truth = {}
            if name != "calibration":
                truth[MASKS] = np.stack([read_mask(masks[index], self.geometry) for index in indexes])
            splits[name] = Split(inputs={ONLY_INPUT: pixels}, truth=truth)
        return SourceData(
            evaluation=splits["evaluation"],
            calibration=splits.get("calibration"),
            validation=splits.get("validation"),
            drawn={"kind": self.kind, "images": self.images, "masks": self.masks, **draw.told()},
        )
